#include "actors/policy/ptx_data.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein::policy {
namespace {

constexpr char kBenign[] = "benign";
// Parts this stream from the job's other random streams.
constexpr uint64_t kPtxStream = 0x707478;
// Draws per wanted row before the data counts as unusable.
constexpr int kDrawsPerRow = 32;

}  // namespace

absl::StatusOr<PtxData> PtxData::Load(const std::filesystem::path& path, const models::Processor* processor,
                                      const models::ModelShape& shape, host::ImageStore* store) {
  PtxData data(processor, shape.max_positions, store);
  const auto keep = [&data](data::PreferenceRow row) {
    if (row.category == kBenign) data.Add(std::move(row));
    return absl::OkStatus();
  };
  REIN_ASSIGN_OR_RETURN(const data::ReadReport report,
                        data::ReadPreferences(path, {}, keep, data::Need::kAnswer));
  if (data.rows_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " has no row of category \"", kBenign,
                                                   "\" among ", report.kept,
                                                   "; PTX must not teach harmful answers"));
  }
  return data;
}

void PtxData::Add(data::PreferenceRow row) {
  Row added{std::move(row.question), std::move(row.response[0]), {}};
  for (data::Picture& picture : row.pictures) {
    added.image_digests.push_back(Sha256Hex(picture.bytes));
    encoded_.try_emplace(added.image_digests.back(), std::move(picture.bytes));
  }
  rows_.push_back(std::move(added));
}

absl::StatusOr<std::vector<training::SupervisedSequence>> PtxData::Draw(uint64_t seed, int64_t step,
                                                                        int batch) {
  CounterRandom random(RandomBits(seed ^ kPtxStream, static_cast<uint64_t>(step)));
  std::vector<training::SupervisedSequence> drawn;
  std::set<size_t> seen;
  absl::Status last_reason;
  for (int64_t i = 0; i < int64_t{kDrawsPerRow} * batch && static_cast<int>(drawn.size()) < batch; ++i) {
    const size_t index = random.Below(rows_.size());
    if (static_cast<size_t>(batch) <= rows_.size() && !seen.insert(index).second) continue;
    absl::StatusOr<training::SupervisedSequence> sequence = Encode(index);
    if (sequence.ok()) {
      drawn.push_back(*std::move(sequence));
    } else {
      last_reason = sequence.status();
    }
  }
  // A batch that is nearly all of the data may miss the last rows; one that is mostly missing is an error.
  if (2 * drawn.size() >= static_cast<size_t>(batch)) return drawn;
  return absl::InvalidArgumentError(absl::StrCat(
      "only ", drawn.size(), " of ", batch, " PTX rows can be used; last reason: ", last_reason.message()));
}

absl::StatusOr<training::SupervisedSequence> PtxData::Encode(size_t index) {
  const Row& row = rows_[index];
  training::Sequence sequence;
  sequence.id = absl::StrCat("ptx/", index);
  std::vector<models::ProcessedImage> images;
  for (const std::string& digest : row.image_digests) {
    REIN_ASSIGN_OR_RETURN(const host::Picture picture, store_->GetDecoded(digest, encoded_.at(digest)));
    sequence.images.push_back(picture);
    images.push_back(*picture);
  }
  REIN_ASSIGN_OR_RETURN(sequence.prompt, processor_->EncodePrompt(row.question, images));
  sequence.response = processor_->EncodeResponse(row.answer);
  const int64_t length = static_cast<int64_t>(sequence.prompt.size() + sequence.response.size());
  if (max_positions_ > 0 && length > max_positions_) {
    return absl::InvalidArgumentError(
        absl::StrCat("row has ", length, " tokens, the model takes ", max_positions_));
  }
  return training::SupervisedSequence{std::move(sequence)};
}

}  // namespace rein::policy
