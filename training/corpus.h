// Preference rows as token sequences, ready to train on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "data/picture_store.h"
#include "data/preferences.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "training/rl_trainer.h"

namespace rein::training {

// A question with its pictures and two answers, and how they were judged.
struct CorpusRow {
  std::string id;
  std::vector<int32_t> prompt;
  std::vector<int32_t> responses[2];
  std::vector<int> pictures;      // indices into the corpus's pictures, in the order of the prompt
  int more_helpful = 0;           // 0 or 1; -1 where Need::kAnswer does not ask for it
  int safer = 0;                  // 0 or 1; -1 likewise
  int harmless_rate[2] = {0, 0};  // -3 .. 3, > 0 harmless
  bool is_safe[2] = {true, true};
  data::Harmlessness harmlessness[2] = {};  // where these come from
  std::string category, severity;           // as in data::PreferenceRow
};

struct CorpusLimits {
  // Pixels kept ready; pictures beyond are kept encoded in a file (data::PictureStore) and processed again
  // whenever they are needed.
  int64_t pixel_bytes = int64_t{256} << 20;
};

// Every row tokenised and every distinct picture (by digest) decoded once.
class Corpus {
 public:
  // Rows of a file or folder that have what is needed, see data::Need. Rows longer than the model's positions
  // are left out and counted in the log. Errors: those of data::ReadPreferences and of decoding and
  // processing (naming the row); INVALID_ARGUMENT (no row is left). The processor outlives the corpus.
  static absl::StatusOr<Corpus> Load(const std::filesystem::path& path, const models::Processor& processor,
                                     const models::ModelShape& shape, const CorpusLimits& limits = {},
                                     data::Need need = data::Need::kPair);

  const std::vector<CorpusRow>& rows() const { return rows_; }
  // Rows that were read but cannot be used: see data::ReadPreferences, and too long.
  int64_t dropped() const { return dropped_; }
  int64_t pictures() const { return static_cast<int64_t>(pictures_.size()); }
  // Of all tokens and pictures.
  uint32_t checksum() const;
  // Bytes of the pixels that are kept ready.
  int64_t pixel_bytes() const { return pixel_bytes_; }
  // Bytes of encoded pictures in the file.
  int64_t spilled_bytes() const { return encoded_.spilled_bytes(); }

  // Prompt, pictures and answer 0 or 1 of a row. Sequences that live at the same time share their pictures.
  // One thread.
  absl::StatusOr<Sequence> SequenceOf(const CorpusRow& row, int answer) const;

 private:
  using Picture = std::shared_ptr<const models::ProcessedImage>;
  struct StoredPicture {
    Picture ready;  // null: over the limit
    std::string digest;
    mutable std::weak_ptr<const models::ProcessedImage> in_use;  // only where not ready
  };

  // One that came with a row that is being added.
  struct NewPicture {
    int index = 0;
    int64_t row = 0;
    std::string encoded;
    absl::StatusOr<Picture> processed = Picture();
  };

  explicit Corpus(const models::Processor* processor) : processor_(processor) {}
  // Their new pictures are processed by all threads at once.
  absl::Status AddRows(const std::string& file, std::vector<data::PreferenceRow> rows,
                       const models::ModelShape& shape, const CorpusLimits& limits);
  absl::Status Add(data::PreferenceRow row, std::vector<int> pictures, const models::ModelShape& shape);
  int IndexOf(std::string encoded, int64_t row, std::vector<NewPicture>& fresh);
  absl::Status Keep(NewPicture& picture, const CorpusLimits& limits);
  absl::StatusOr<Picture> Process(const std::string& encoded) const;
  absl::StatusOr<Picture> PictureAt(int index) const;

  const models::Processor* processor_;
  std::vector<CorpusRow> rows_;
  std::vector<StoredPicture> pictures_;
  std::unordered_map<std::string, int> by_digest_;
  data::PictureStore encoded_{/*memory_bytes=*/0};  // those that are not ready
  int64_t pixel_bytes_ = 0;
  int64_t seen_ = 0, dropped_ = 0;
};

}  // namespace rein::training
