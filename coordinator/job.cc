#include "coordinator/job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "transport/job_file.h"

namespace rein::coordinator {
namespace {

constexpr absl::Duration kShutdownGrace = absl::Seconds(2);

// Trainable state, or a message of it, was lost: the last commit is the way on. Everything else would only
// happen again.
bool CallsForRollback(const absl::Status& status) {
  return absl::IsAborted(status) || absl::IsUnavailable(status) || absl::IsCancelled(status);
}

}  // namespace

Job::Job(const JobOptions& options)
    : options_(options),
      job_(options_.job),
      board_(options.job, options.job_id, options.run_dir.string()),
      registry_(options.job_id, options.job.limits(), [this] { board_.Touch(); }),
      blobs_([this](const std::string& digest) { return Picture(digest); }),
      service_(options.job.limits(), &registry_, &board_, &desk_, [this]() -> absl::StatusOr<std::string> {
        REIN_RETURN_IF_ERROR(Commit(/*must=*/true));
        return checkpoints_->FolderOf(step_).string();
      }) {}

Job::~Job() { Shutdown(); }

void Job::Shutdown() {
  desk_.Close(absl::CancelledError("the coordinator ends"));
  if (server_ != nullptr) server_->Shutdown(kShutdownGrace);
  // Candidates of a swap that was under way end with the fleet.
  swapper_.reset();
  fleet_.reset();
}

absl::StatusOr<std::unique_ptr<Job>> Job::Open(const JobOptions& options) {
  std::unique_ptr<Job> job(new Job(options));
  REIN_RETURN_IF_ERROR(job->OpenStores());
  REIN_RETURN_IF_ERROR(job->Serve());
  return job;
}

absl::Status Job::OpenStores() {
  REIN_ASSIGN_OR_RETURN(prompts_, PromptSource::Load(job_.data().prompts(), "", job_.seed(), 0));
  if (!job_.data().evaluation().empty()) {
    REIN_ASSIGN_OR_RETURN(evaluation_, PromptSource::Load(job_.data().evaluation(), "eval-", job_.seed(),
                                                          static_cast<size_t>(job_.evaluation().prompts())));
  }
  REIN_ASSIGN_OR_RETURN(ledger_, Ledger::Open(options_.run_dir / "ledger.sqlite"));
  REIN_ASSIGN_OR_RETURN(checkpoints_, CheckpointStore::Open(options_.run_dir / "checkpoints"));
  return absl::OkStatus();
}

absl::Status Job::Serve() {
  // Nobody may register under an epoch that is not stored yet.
  REIN_ASSIGN_OR_RETURN(epoch_, ledger_->NextEpoch());
  registry_.SetEpoch(epoch_);
  REIN_ASSIGN_OR_RETURN(server_,
                        transport::Server::Start(
                            {.token = options_.token, .max_message_bytes = job_.limits().max_message_bytes()},
                            {&service_, &blobs_}));
  KeeperEnvironment environment = MakeEnvironment();
  if (!options_.launcher_address.empty()) {
    REIN_ASSIGN_OR_RETURN(transport::Peer peer,
                          transport::Peer::Open(options_.launcher_address, {.token = options_.token}));
    launcher_ = std::make_unique<LauncherClient>(std::move(peer));
    environment.launcher = launcher_.get();
  }
  fleet_ = std::make_unique<Fleet>(std::move(environment));
  weights_ = std::make_unique<WeightPublisher>(job_, fleet_.get(), &board_);
  training_ = std::make_unique<TrainingCalls>(job_, fleet_.get(), &board_);
  const PictureFn pictures = [this](const std::string& digest) { return Picture(digest); };
  swapper_ = std::make_unique<Swapper>(job_, fleet_.get(), &board_, &desk_, pictures,
                                       [this](const ScorerChoice& choice) { return TakeOver(choice); });
  tools_ = BatchTools{job_, fleet_.get(), &board_, weights_.get(), pictures};
  server_->SetServing(true);
  return WriteFileAtomically(options_.run_dir / "coordinator.address", absl::StrCat(address(), "\n"));
}

KeeperEnvironment Job::MakeEnvironment() {
  return {.job = job_,
          .job_id = options_.job_id,
          .token = options_.token,
          .blobs_address = address(),
          .registry = &registry_,
          .board = &board_};
}

absl::StatusOr<transport::Blob> Job::Picture(const std::string& digest) const {
  absl::StatusOr<transport::Blob> blob = prompts_->Encoded(digest);
  if (!absl::IsNotFound(blob.status()) || !evaluation_.has_value()) return blob;
  return evaluation_->Encoded(digest);
}

void Job::RecordEvent(const std::string& kind, const std::string& text) {
  LogInfo(absl::StrCat(kind, ": ", text));
  const absl::Status status = ledger_->RecordEvent({epoch_, step_}, kind, text);
  if (!status.ok()) LogWarning(absl::StrCat("ledger: ", status.ToString()));
}

absl::Status Job::Run() {
  const absl::Status status = Drive();
  const bool stopped = status.ok() && step_ < job_.steps();
  board_.Update([&](v1::JobStatus& shown) {
    shown.set_phase(status.ok() ? v1::JOB_FINISHED : v1::JOB_FAILED);
    shown.set_error(std::string(status.message()));
  });
  const char* state = !status.ok() ? "failed" : stopped ? "stopped" : "finished";
  const absl::Status written = WriteOutcome(options_.run_dir, state, step_, std::string(status.message()));
  if (!written.ok()) LogError(absl::StrCat("outcome.json: ", written.ToString()));
  desk_.Close(status);
  return status;
}

absl::Status Job::Drive() {
  int64_t stuck_at = -1;
  int rollbacks = 0;
  while (true) {
    absl::Status status = DriveFromCommit();
    if (status.ok()) return status;
    const absl::Status interruption = fleet_->Interruption();
    // A keeper that has given up stays so, whatever the code of its last error.
    if (!interruption.ok() && !absl::IsAborted(interruption)) return interruption;
    if (!interruption.ok()) status = interruption;
    if (!CallsForRollback(status)) return status;
    rollbacks = step_ == stuck_at ? rollbacks + 1 : 1;
    stuck_at = step_;
    if (rollbacks > job_.limits().max_restarts()) {
      return absl::Status(status.code(), absl::StrCat("given up after ", rollbacks - 1, " rollbacks at step ",
                                                      step_ + 1, ": ", status.message()));
    }
    RecordEvent("rollback", absl::StrCat("to step ", committed_, ": ", status.message()));
    REIN_ASSIGN_OR_RETURN(epoch_, ledger_->NextEpoch());
    registry_.SetEpoch(epoch_);
    board_.Update([&](v1::JobStatus& shown) {
      shown.set_phase(v1::JOB_RECOVERING);
      shown.set_rollbacks(shown.rollbacks() + 1);
      shown.set_error(std::string(status.message()));
    });
  }
}

absl::Status Job::DriveFromCommit() {
  REIN_RETURN_IF_ERROR(Recover());
  board_.Update([](v1::JobStatus& shown) { shown.clear_error(); });
  service_.SetSwapper(swapper_.get());
  REIN_RETURN_IF_ERROR(RunSteps());
  return Finish();
}

absl::Status Job::Recover() {
  std::vector<std::string> refused;
  REIN_ASSIGN_OR_RETURN(const std::optional<Manifest> manifest, checkpoints_->Newest(&refused));
  committed_ = manifest.has_value() ? manifest->step : 0;
  step_ = committed_;
  // A ledger that was moved away begins at epoch 1 again; actors and manifest may know a higher one.
  while (manifest.has_value() && epoch_ <= manifest->epoch) {
    REIN_ASSIGN_OR_RETURN(epoch_, ledger_->NextEpoch());
    registry_.SetEpoch(epoch_);
  }
  for (const std::string& line : refused) RecordEvent("refused checkpoint", line);
  REIN_RETURN_IF_ERROR(ledger_->Reconcile(committed_));
  REIN_ASSIGN_OR_RETURN(files_, RunFiles::Open(options_.run_dir, committed_));
  REIN_RETURN_IF_ERROR(RestoreState(manifest));
  board_.Update([this](v1::JobStatus& shown) {
    shown.set_coordinator_epoch(epoch_);
    shown.set_step(step_);
    shown.set_committed_step(committed_);
  });
  fleet_->ForgetTrainableLost();
  REIN_RETURN_IF_ERROR(fleet_->AwaitAllReady());
  const v1::WeightVersion version = VersionAt(step_);
  MakeRoom(transport::Stage::kTraining);
  if (manifest.has_value()) {
    REIN_RETURN_IF_ERROR(training_->Load(checkpoints_->FolderOf(committed_), manifest->files, version));
  } else {
    REIN_RETURN_IF_ERROR(training_->Load("", {}, version));
  }
  MakeRoom(transport::Stage::kPublishing);
  return weights_->Publish(version);
}

v1::WeightVersion Job::VersionAt(int64_t step) const {
  v1::WeightVersion version;
  version.set_coordinator_epoch(epoch_);
  version.set_number(step);
  return version;
}

absl::Status Job::RestoreState(const std::optional<Manifest>& manifest) {
  REIN_ASSIGN_OR_RETURN(constraints_, Constraints::FromJob(job_));
  cursor_ = 0;
  since_ = {};
  evaluated_.reset();
  commit_due_ = false;
  std::vector<ScorerChoice> scorers = ChoicesOf(job_);
  if (manifest.has_value()) {
    REIN_RETURN_IF_ERROR(constraints_->Restore(manifest->state.value("constraints", nlohmann::json())));
    cursor_ = manifest->state.value("cursor", uint64_t{0});
    REIN_ASSIGN_OR_RETURN(scorers, ChoicesFromJson(manifest->state.value("scorers", nlohmann::json())));
  }
  const std::vector<ScorerChoice> present = fleet_->scorers();
  if (present.empty()) {
    fleet_->Start(scorers);
    return absl::OkStatus();
  }
  // A swap whose commit was lost stands all the same; the multipliers learn of it again.
  for (const ScorerChoice& choice : present) {
    const bool same = std::any_of(scorers.begin(), scorers.end(), [&](const ScorerChoice& old) {
      return old.role == choice.role && old.name == choice.name && old.generation == choice.generation;
    });
    if (same) continue;
    commit_due_ = true;
    if (choice.role == "cost") constraints_->ScorerChanged(choice.name);
  }
  return absl::OkStatus();
}

absl::Status Job::RunSteps() {
  REIN_RETURN_IF_ERROR(EvaluateIfDue(/*last=*/false));
  while (step_ < job_.steps()) {
    REIN_RETURN_IF_ERROR(HandleControls());
    if (desk_.stop_wanted()) {
      board_.SetPhase(v1::JOB_STOPPING);
      return step_ > committed_ ? Commit(/*must=*/true) : absl::OkStatus();
    }
    REIN_RETURN_IF_ERROR(RunStep(step_ + 1));
    fleet_->Forgive();
    const bool last = step_ == job_.steps();
    // Before the commit, which keeps what it says about the policy.
    REIN_RETURN_IF_ERROR(EvaluateIfDue(last));
    if (commit_due_ || last || step_ % job_.checkpoint().every() == 0) {
      REIN_RETURN_IF_ERROR(Commit(/*must=*/last));
    }
  }
  return absl::OkStatus();
}

absl::Status Job::HandleControls() {
  while (true) {
    desk_.RunWork();
    REIN_RETURN_IF_ERROR(fleet_->Interruption());
    if (!desk_.paused() || desk_.stop_wanted()) return absl::OkStatus();
    board_.SetPhase(v1::JOB_PAUSED);
    const auto wait = board_.Wait("resume", absl::InfiniteFuture());
    desk_.AwaitChange(absl::Seconds(1));
  }
}

absl::Status Job::Finish() {
  if (step_ < job_.steps()) return absl::OkStatus();
  return DeliverPolicy();
}

absl::Status Job::TakeOver(const ScorerChoice& choice) {
  board_.SetPhase(v1::JOB_SWAPPING);
  fleet_->AcceptCandidates(choice);
  if (choice.role == "cost") constraints_->ScorerChanged(choice.name);
  RecordEvent("swap", absl::StrCat(choice.role, " '", choice.name, "' is now ",
                                   choice.model.empty() ? choice.address : choice.model));
  // So that the swap survives whatever comes: at once, or with the next step where this one is committed
  // already, is the start, or cannot be committed. The scorer has taken over in any case.
  commit_due_ = true;
  if (step_ == committed_) return absl::OkStatus();
  const absl::Status committed = Commit(/*must=*/false);
  if (!committed.ok()) RecordEvent("checkpoint failed", std::string(committed.message()));
  return absl::OkStatus();
}

}  // namespace rein::coordinator
