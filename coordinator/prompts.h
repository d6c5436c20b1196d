// The prompts of a job: rows of a parquet file as questions about pictures, in a seeded order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/epoch_order.h"
#include "data/picture_store.h"
#include "data/preferences.h"
#include "data/scenes.h"
#include "rein/v1/common.pb.h"
#include "transport/blobs.h"

namespace rein::coordinator {

// Rows are counted from 0 among those kept, in file order.
class PromptSource {
 public:
  // Question and pictures of every row of a file or folder in any format of docs/data.md. Dropped and
  // counted: what data::ReadPreferences drops, pictures of unknown format, rows with the same pictures and
  // question as an earlier one, and rows past the first `max_rows` (0: all). A picture that may not decode
  // stays: admission refuses it where it is drawn. Errors: those of data::ReadPreferences; INVALID_ARGUMENT
  // (no row is left: says why); RESOURCE_EXHAUSTED (no room for the pictures).
  static absl::StatusOr<PromptSource> Load(const std::filesystem::path& parquet, const std::string& id_prefix,
                                           uint64_t seed, size_t max_rows);

  size_t size() const { return rows_.size(); }

  // The cursor-th prompt of the job, a pure function of data, seed and cursor: every row once an epoch, each
  // epoch in an order of its own. prompt_id: prefix, row, ".", epoch ("17.0"). One thread at a time.
  v1::Prompt Draw(uint64_t cursor) const;
  // For evaluation; prompt_id: prefix and row ("eval-17"). row < size(). Thread-safe, as all below.
  v1::Prompt Row(size_t row) const;
  // The row behind a prompt_id of Draw or Row; nullopt: not one of this source.
  std::optional<size_t> RowOf(absl::string_view prompt_id) const;

  // Encoded bytes, for BlobService. Errors: NOT_FOUND (no prompt has this picture), UNAVAILABLE.
  absl::StatusOr<transport::Blob> Encoded(const std::string& digest) const { return pictures_.Get(digest); }

  // The scene behind a row, by which ground truth judges answers; nullopt where rows are no scenes.
  const std::optional<data::Scene>& SceneOf(size_t row) const { return rows_[row].scene; }

  // kept: size().
  const data::ReadReport& report() const { return report_; }

 private:
  struct Stored {
    v1::Prompt prompt;  // without its id
    std::optional<data::Scene> scene;
  };
  using Seen = std::set<std::pair<std::string, std::string>>;  // digests, question

  PromptSource(std::string id_prefix, uint64_t seed) : id_prefix_(std::move(id_prefix)), seed_(seed) {}
  absl::Status Add(data::PreferenceRow row, Seen& seen);
  absl::Status Finish(const std::filesystem::path& parquet, const data::ReadReport& read);

  std::string id_prefix_;
  uint64_t seed_;
  std::vector<Stored> rows_;
  data::PictureStore pictures_;
  data::ReadReport report_;
  mutable std::optional<data::EpochOrder> order_;  // remembers the epoch that was asked for last
};

}  // namespace rein::coordinator
