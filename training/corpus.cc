#include "training/corpus.h"

#include <ATen/ATen.h>

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
  const auto visit = [&](data::PreferenceRow row) {
    ++corpus.seen_;
    const std::string where = absl::StrCat(path.string(), " row ", corpus.seen_);
    return WithContext(corpus.Add(std::move(row), shape, limits), where);
  };
  REIN_ASSIGN_OR_RETURN(const data::ReadReport report, data::ReadPreferences(path, {}, visit, need));
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

absl::Status Corpus::Add(data::PreferenceRow row, const models::ModelShape& shape,
                         const CorpusLimits& limits) {
  CorpusRow added;
  added.id = absl::StrCat("row ", seen_);
  std::vector<models::ProcessedImage> images;
  for (data::Picture& picture : row.pictures) {
    int* index = &added.pictures.emplace_back();
    REIN_ASSIGN_OR_RETURN(const Picture processed, AddPicture(std::move(picture.bytes), index, limits));
    images.push_back(*processed);
  }
  REIN_ASSIGN_OR_RETURN(added.prompt, processor_->EncodePrompt(row.question, images));
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

absl::StatusOr<Corpus::Picture> Corpus::AddPicture(std::string encoded, int* index,
                                                   const CorpusLimits& limits) {
  const std::string digest = Sha256Hex(encoded);
  const auto [entry, is_new] = by_digest_.try_emplace(digest, static_cast<int>(pictures_.size()));
  *index = entry->second;
  if (!is_new) return PictureAt(*index);
  REIN_ASSIGN_OR_RETURN(const Picture picture, Process(encoded));
  const int64_t bytes = static_cast<int64_t>(picture->pixels.nbytes());
  if (pixel_bytes_ + bytes <= limits.pixel_bytes) {
    pixel_bytes_ += bytes;
    pictures_.push_back({picture, digest, {}});
  } else {
    pictures_.push_back({nullptr, digest, picture});
    REIN_RETURN_IF_ERROR(encoded_.Keep(digest, std::move(encoded)));
  }
  return picture;
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
