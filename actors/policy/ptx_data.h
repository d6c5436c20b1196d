// Supervised batches that are mixed into the policy's steps: benign questions with good answers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/image_store.h"
#include "data/preferences.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "training/rl_trainer.h"

namespace rein::policy {

// One thread at a time.
class PtxData {
 public:
  // Benign rows of a parquet file or folder; response_1 is the target. `store` and `processor` outlive the
  // data. Errors: those of data::ReadPreferences, INVALID_ARGUMENT (no benign row).
  static absl::StatusOr<PtxData> Load(const std::filesystem::path& path, const models::Processor* processor,
                                      const models::ModelShape& shape, host::ImageStore* store);

  // The batch of one step: a pure function of (seed, step) and the data, so that a resumed job draws what the
  // undisturbed one drew. Rows differ from each other where there are enough; those that cannot be used
  // (undecodable, too long for the model) are passed over. Errors: INVALID_ARGUMENT (too few usable rows,
  // with the last reason).
  absl::StatusOr<std::vector<training::SupervisedSequence>> Draw(uint64_t seed, int64_t step, int batch);

  size_t rows() const { return rows_.size(); }

 private:
  struct Row {
    std::string question;
    std::string answer;
    std::vector<std::string> image_digests;
  };
  PtxData(const models::Processor* processor, int64_t max_positions, host::ImageStore* store)
      : processor_(processor), max_positions_(max_positions), store_(store) {}
  void Add(data::PreferenceRow row);
  absl::StatusOr<training::SupervisedSequence> Encode(size_t index);

  const models::Processor* processor_;
  int64_t max_positions_;
  host::ImageStore* store_;
  std::vector<Row> rows_;
  std::map<std::string, std::string> encoded_;  // picture bytes by digest
};

}  // namespace rein::policy
