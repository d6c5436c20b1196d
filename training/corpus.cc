#include "training/corpus.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"
#include "data/image.h"

namespace rein::training {
namespace {

// Unequal lengths aside: what both answers of a row need of the model.
int64_t LongestSequence(const CorpusRow& row) {
  return static_cast<int64_t>(row.prompt.size() + std::max(row.responses[0].size(), row.responses[1].size()));
}

bool Contains(const std::vector<int32_t>& tokens, int64_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

absl::StatusOr<Corpus> Corpus::Load(const std::filesystem::path& path, const models::Processor& processor,
                                    const models::ModelShape& shape, const CorpusLimits& limits,
                                    data::Need need) {
  Corpus corpus(&processor);
  std::vector<data::PreferenceRow> waiting;
  const auto add = [&] { return corpus.AddRows(path.string(), std::exchange(waiting, {}), shape, limits); };
  const auto visit = [&](data::PreferenceRow row) {
    waiting.push_back(std::move(row));
    return static_cast<int>(waiting.size()) < at::get_num_threads() ? absl::OkStatus() : add();
  };
  REIN_ASSIGN_OR_RETURN(const data::ReadReport report, data::ReadPreferences(path, {}, visit, need));
  REIN_RETURN_IF_ERROR(add());
  corpus.dropped_ = report.rows - static_cast<int64_t>(corpus.rows_.size());
  if (corpus.rows_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), ": none of ", report.rows, " rows can be used"));
  }
  return corpus;
}

uint32_t Corpus::checksum() const {
  uint32_t crc = 0;
  const auto add = [&crc](const std::vector<int32_t>& tokens) {
    const absl::string_view bytes(reinterpret_cast<const char*>(tokens.data()),
                                  tokens.size() * sizeof(int32_t));
    crc = Crc32c(bytes, Crc32c(absl::StrCat(tokens.size(), " "), crc));
  };
  for (const CorpusRow& row : rows_) {
    for (const auto* tokens : {&row.prompt, &row.responses[0], &row.responses[1]}) add(*tokens);
    for (const int picture : row.pictures) crc = Crc32c(pictures_[picture].digest, crc);
  }
  return crc;
}

absl::Status Corpus::AddRows(const std::string& file, std::vector<data::PreferenceRow> rows,
                             const models::ModelShape& shape, const CorpusLimits& limits) {
  std::vector<std::vector<int>> indices(rows.size());
  std::vector<NewPicture> fresh;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (data::Picture& picture : rows[i].pictures)
      indices[i].push_back(IndexOf(std::move(picture.bytes), seen_ + static_cast<int64_t>(i) + 1, fresh));
  }
  at::parallel_for(0, static_cast<int64_t>(fresh.size()), /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fresh[i].processed = Process(fresh[i].encoded);
  });
  for (NewPicture& picture : fresh)
    REIN_RETURN_IF_ERROR(WithContext(Keep(picture, limits), absl::StrCat(file, " row ", picture.row)));
  for (size_t i = 0; i < rows.size(); ++i) {
    ++seen_;
    REIN_RETURN_IF_ERROR(WithContext(Add(std::move(rows[i]), std::move(indices[i]), shape),
                                     absl::StrCat(file, " row ", seen_)));
  }
  return absl::OkStatus();
}

absl::Status Corpus::Add(data::PreferenceRow row, std::vector<int> pictures,
                         const models::ModelShape& shape) {
  CorpusRow added;
  added.id = absl::StrCat("row ", seen_);
  std::vector<models::ProcessedImage> images;
  for (const int picture : pictures) {
    REIN_ASSIGN_OR_RETURN(const Picture processed, PictureAt(picture));
    images.push_back(*processed);
  }
  added.pictures = std::move(pictures);
  REIN_ASSIGN_OR_RETURN(added.prompt, processor_->EncodePrompt(row.question, images));
  added.prompt.shrink_to_fit();  // most of it are placeholders, added one by one
  for (int i = 0; i < 2; ++i) {
    added.responses[i] = processor_->EncodeResponse(row.response[i]);
    if (Contains(added.responses[i], shape.image_token_id)) {
      return absl::InvalidArgumentError(absl::StrCat("response_", i + 1, " contains the image placeholder"));
    }
    added.harmless_rate[i] = row.harmless_rate[i];
    added.is_safe[i] = row.is_safe[i];
    added.harmlessness[i] = row.harmlessness[i];
  }
  added.category = std::move(row.category);
  added.severity = std::move(row.severity);
  added.more_helpful = row.more_helpful - 1;
  added.safer = row.safer - 1;
  if (shape.max_positions <= 0 || LongestSequence(added) <= shape.max_positions)
    rows_.push_back(std::move(added));
  return absl::OkStatus();
}

int Corpus::IndexOf(std::string encoded, int64_t row, std::vector<NewPicture>& fresh) {
  const std::string digest = Sha256Hex(encoded);
  const auto [entry, is_new] = by_digest_.try_emplace(digest, static_cast<int>(pictures_.size()));
  if (is_new) {
    pictures_.push_back({nullptr, digest, {}});
    fresh.push_back({.index = entry->second, .row = row, .encoded = std::move(encoded)});
  }
  return entry->second;
}

absl::Status Corpus::Keep(NewPicture& picture, const CorpusLimits& limits) {
  REIN_RETURN_IF_ERROR(picture.processed.status());
  StoredPicture& stored = pictures_[picture.index];
  const int64_t bytes = static_cast<int64_t>((*picture.processed)->pixels.nbytes());
  if (pixel_bytes_ + bytes <= limits.pixel_bytes) {
    pixel_bytes_ += bytes;
    stored.ready = *picture.processed;
    return absl::OkStatus();
  }
  stored.in_use = *picture.processed;
  return encoded_.Keep(stored.digest, std::move(picture.encoded));
}

absl::StatusOr<Corpus::Picture> Corpus::Process(const std::string& encoded) const {
  REIN_ASSIGN_OR_RETURN(const data::RgbImage image, data::DecodeImage(encoded));
  REIN_ASSIGN_OR_RETURN(models::ProcessedImage processed, processor_->ProcessImage(image));
  return std::make_shared<const models::ProcessedImage>(std::move(processed));
}

absl::StatusOr<Corpus::Picture> Corpus::PictureAt(int index) const {
  const StoredPicture& picture = pictures_[index];
  if (picture.ready) return picture.ready;
  if (Picture in_use = picture.in_use.lock()) return in_use;
  REIN_ASSIGN_OR_RETURN(const data::PictureStore::Encoded encoded, encoded_.Get(picture.digest));
  REIN_ASSIGN_OR_RETURN(Picture processed, Process(*encoded));
  picture.in_use = processed;
  return processed;
}

absl::StatusOr<Sequence> Corpus::SequenceOf(const CorpusRow& row, int answer) const {
  Sequence sequence{row.id, row.prompt, row.responses[answer], {}};
  for (const int picture : row.pictures) {
    REIN_ASSIGN_OR_RETURN(sequence.images.emplace_back(), PictureAt(picture));
  }
  return sequence;
}

}  // namespace rein::training
