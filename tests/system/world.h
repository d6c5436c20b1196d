// A tiny world (scenes, models) and jobs in it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "rein/v1/coordinator.pb.h"
#include "tests/system/process.h"

namespace rein::system_test {

namespace fs = std::filesystem;

// Scenes and barely trained models: enough for processes to have real work. Made once a process, and removed
// at its end unless REIN_KEEP_WORLD is set; or once for all processes in the folder that REIN_TEST_WORLD
// names.
struct World {
  fs::path folder;
  fs::path job;  // safe_rlhf_v on this world, 4 steps of 4 prompts x 2 samples
  fs::path sft, reward, cost, other_cost;
};
const World& TinyWorld();

// Such a world with models of another family, made anew below TinyWorld's folder; without other_cost.
World FamilyWorld(const std::string& family);

// `rein train KIND` for two steps: models/OUTPUT of the world from `model` and the file `data`, with
// further `settings`, lines of its file. The process ends where that fails.
void TrainBarely(const World& world, const std::string& kind, const std::string& model,
                 const std::string& data, const std::string& output, const std::string& settings = "");

// A picture of the world's prompts as a file.
fs::path PictureFile(const World& world, size_t row);

// Where the job of that name runs.
fs::path RunFolder(const std::string& name);

// One run folder and the supervisor that runs in it.
class Job {
 public:
  // `rein run FILE --run-dir FOLDER SETTINGS...`; with resume only --resume is added.
  Job(const std::string& name, const std::vector<std::string>& settings,
      const fs::path& file = TinyWorld().job);
  ~Job();

  void Resume();
  int Wait(absl::Duration timeout = absl::Seconds(240)) { return process_->Wait(timeout); }
  // `rein stop`, then its end before its last step. For jobs that must not end before a test is done with
  // them, however fast their steps are: give them steps that nobody waits for.
  void StopEarly();
  std::string Output() const { return process_->Output(); }
  const fs::path& folder() const { return folder_; }
  Background& process() { return *process_; }

  // Follows WatchStatus, over restarts of the coordinator, until the predicate holds. False at the deadline,
  // or when the job has ended.
  bool WaitFor(const std::function<bool(const v1::JobStatus&)>& holds, v1::JobStatus* last = nullptr,
               absl::Duration timeout = absl::Seconds(120));
  // Waits for that many steps more than are done now; as WaitFor.
  bool WaitForMoreSteps(int64_t more);
  // Process of an actor by role and name, as status tells; 0 where there is none.
  static const v1::ActorStatus* Find(const v1::JobStatus& status, const std::string& role,
                                     const std::string& name = "");
  static pid_t PidOf(const v1::JobStatus& status, const std::string& role, const std::string& name = "");
  pid_t CoordinatorPid() const;

 private:
  void Start(std::vector<std::string> arguments);

  fs::path folder_;
  fs::path file_;
  std::vector<std::string> settings_;
  std::unique_ptr<Background> process_;
  int starts_ = 0;
};

// False when the file is not there at the deadline.
bool WaitForFile(const fs::path& path, absl::Duration timeout);

// A file of JSON objects, one a line.
std::vector<nlohmann::json> Lines(const fs::path& path);

// metrics.jsonl, one object a step.
std::vector<nlohmann::json> Metrics(const fs::path& run_folder);

// One row of a query on the ledger, as text.
std::vector<std::vector<std::string>> QueryLedger(const fs::path& run_folder, const std::string& sql);

// Bytes of a file; fails the test when it is not there.
std::string Bytes(const fs::path& path);

}  // namespace rein::system_test
