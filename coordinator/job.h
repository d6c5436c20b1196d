// The job thread: from the first prompt to the last commit, over every loss in between.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/batch.h"
#include "coordinator/checkpoint_store.h"
#include "coordinator/control_desk.h"
#include "coordinator/experience.h"
#include "coordinator/fleet.h"
#include "coordinator/launcher_client.h"
#include "coordinator/ledger.h"
#include "coordinator/prompts.h"
#include "coordinator/registry.h"
#include "coordinator/run_files.h"
#include "coordinator/service.h"
#include "coordinator/status_board.h"
#include "coordinator/swap.h"
#include "coordinator/training_calls.h"
#include "coordinator/weight_publisher.h"
#include "rein/v1/job.pb.h"
#include "transport/blobs.h"
#include "transport/server.h"
#include "transport/stages.h"

namespace rein::coordinator {

struct JobOptions {
  v1::Job job;  // complete (transport::CompleteJob)
  std::string job_id;
  std::string token;
  std::filesystem::path run_dir;
  // Empty: actors are started by others.
  std::string launcher_address;
};

// Life: 1. Open loads the data, opens the ledger and serves. 2. Run, once, on the calling thread. 3.
// AskToStop from any thread (a signal) ends it at the next step boundary, after a commit.
class Job {
 public:
  // Errors: those of PromptSource::Load, Ledger::Open, CheckpointStore::Open and Server::Start.
  static absl::StatusOr<std::unique_ptr<Job>> Open(const JobOptions& options);
  ~Job();

  // The address of the coordinator's services; also in RUN/coordinator.address.
  const std::string& address() const { return server_->address(); }
  // Returns when the job is finished, stopped or has failed; writes outcome.json. Errors: why it has failed.
  absl::Status Run();
  void AskToStop() { desk_.AskToStop(); }
  // Ends all services and threads, giving watchers a moment to read the end. Called by the destructor as
  // well.
  void Shutdown();

 private:
  explicit Job(const JobOptions& options);
  absl::Status OpenStores();
  absl::Status Serve();
  KeeperEnvironment MakeEnvironment();

  // The whole job; rolls back and goes on where trainable state is lost.
  absl::Status Drive();
  absl::Status DriveFromCommit();
  // Back to the last commit, under a new epoch: stores, multipliers, actors, weights.
  absl::Status Recover();
  // The weights after `step`, as this coordinator epoch names them.
  v1::WeightVersion VersionAt(int64_t step) const;
  absl::Status RestoreState(const std::optional<Manifest>& manifest);
  absl::Status RunSteps();
  absl::Status HandleControls();
  absl::Status Finish();

  absl::Status RunStep(int64_t step);
  void MakeRoom(transport::Stage stage);
  BatchRequest DrawPrompts(int64_t step);
  // With at least one sample that can be used. Where the guard drops all, the next prompts are drawn.
  absl::StatusOr<Batch> FillBatch(const LedgerKey& key);
  absl::Status PlanStep(const LedgerKey& key, const BatchRequest& request);
  absl::Status CloseStep(const LedgerKey& key, const ClosedTable& table, const Experience& experience);
  absl::Status CheckGap(const TrainOutcome& outcome);
  absl::Status Report(const Batch& batch, const Experience& experience, const TrainOutcome& outcome,
                      nlohmann::json seconds);
  void ShowMultipliers(const nlohmann::json& metrics);

  // `must`: a full disk is an error. Otherwise it is said, and tried again at the next boundary.
  absl::Status Commit(bool must);
  absl::Status WriteCheckpoint();
  Manifest MakeManifest(std::vector<v1::SavedFile> files) const;
  void Judge(Manifest& manifest) const;
  absl::Status EvaluateIfDue(bool last);
  absl::Status EvaluateNow(int64_t step);
  // The best policy goes to RUN/policy, and is evaluated where that was not done when it was committed.
  absl::Status DeliverPolicy();
  absl::Status TakeOver(const ScorerChoice& choice);
  absl::Status KeepPictures(const std::vector<ScoredRow>& rows);
  absl::Status KeepPicture(const std::string& digest);
  void RecordEvent(const std::string& kind, const std::string& text);
  absl::StatusOr<transport::Blob> Picture(const std::string& digest) const;

  const JobOptions options_;
  const v1::Job& job_;
  StatusBoard board_;
  Registry registry_;
  ControlDesk desk_;
  std::unique_ptr<LauncherClient> launcher_;
  std::optional<PromptSource> prompts_;
  std::optional<PromptSource> evaluation_;
  std::unique_ptr<Ledger> ledger_;
  std::optional<CheckpointStore> checkpoints_;
  transport::BlobService blobs_;
  CoordinatorService service_;
  std::unique_ptr<transport::Server> server_;
  std::unique_ptr<RunFiles> files_;

  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<WeightPublisher> weights_;
  std::unique_ptr<TrainingCalls> training_;
  std::unique_ptr<Swapper> swapper_;
  std::optional<BatchTools> tools_;

  // State that a commit keeps.
  std::optional<Constraints> constraints_;
  uint64_t cursor_ = 0;
  int64_t step_ = 0;  // finished steps

  uint64_t epoch_ = 0;
  int64_t committed_ = 0;
  bool commit_due_ = false;
  // For the choice of the best: figures since the last commit, and of the last evaluation.
  struct Since {
    int64_t samples = 0;
    double reward = 0;
    std::vector<double> signals;
  } since_;
  struct Evaluated {
    int64_t step = 0;
    bool meets_constraints = false;
    double reward_mean = 0;
  };
  std::optional<Evaluated> evaluated_;
  // Seconds spent between the last step and the next one; they go into its metrics.
  std::map<std::string, double> between_steps_;
};

}  // namespace rein::coordinator
