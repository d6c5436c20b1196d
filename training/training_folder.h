// What an offline training keeps beside its output: OUTPUT.training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/tensorboard.h"
#include "nlohmann/json.hpp"

namespace rein::training {

// metrics.jsonl (one object a step), tensorboard/, and while the training is under way folders of weights:
// step-N, the state after step N, and best-N, the model of the best evaluation so far. One thread.
class TrainingFolder {
 public:
  using Metrics = std::map<std::string, double>;
  using WriteFn = std::function<absl::Status(const std::filesystem::path& folder)>;

  explicit TrainingFolder(const std::filesystem::path& output);
  // Writes what has not been written, as far as that is possible.
  ~TrainingFolder();

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path State(int64_t step) const;
  std::filesystem::path Best(int64_t step) const;
  // Step of the newest state; 0 without any.
  int64_t NewestState() const;

  // Begins to log after `step`: lines of later steps, and with 0 all of them, are removed.
  absl::Status OpenLogs(int64_t step);
  // Ten steps are written at a time; Flush writes the rest.
  absl::Status Log(int64_t step, const Metrics& metrics);
  absl::Status Flush();

  // `write` makes and fills the folder it is given, which then takes the name of `folder`: whole or not
  // there.
  static absl::Status Commit(const std::filesystem::path& folder, const WriteFn& write);
  // The same with a folder that is whole already.
  static absl::Status Move(const std::filesystem::path& from, const std::filesystem::path& to);
  // Removes all states but that of `step` and all best models but that of `best`.
  void KeepOnly(int64_t step, int64_t best);

 private:
  const std::filesystem::path folder_;
  std::unique_ptr<TensorBoardWriter> tensorboard_;
  std::vector<TensorBoardWriter::Event> pending_;
};

// Names of the entries whose values differ, in either direction.
std::vector<std::string> Differences(const nlohmann::json& a, const nlohmann::json& b);

}  // namespace rein::training
