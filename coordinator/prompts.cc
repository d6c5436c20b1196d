#include "coordinator/prompts.h"

#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/hash.h"
#include "base/log_line.h"
#include "base/status.h"
#include "data/image.h"

namespace rein::coordinator {
namespace {

// Parts the order of prompts from the job's other random streams.
constexpr uint64_t kPromptStream = 0x70726f6d7074;

std::string Reasons(const std::map<std::string, int64_t>& dropped) {
  return absl::StrJoin(dropped, ", ", absl::PairFormatter(": "));
}

}  // namespace

absl::StatusOr<PromptSource> PromptSource::Load(const std::filesystem::path& parquet,
                                                const std::string& id_prefix, uint64_t seed,
                                                size_t max_rows) {
  PromptSource source(id_prefix, seed);
  Seen seen;
  const auto visit = [&](data::PreferenceRow row) {
    if (max_rows == 0 || source.size() < max_rows) return source.Add(std::move(row), seen);
    ++source.report_.dropped[absl::StrCat("past the first ", max_rows)];
    return absl::OkStatus();
  };
  REIN_ASSIGN_OR_RETURN(const data::ReadReport read,
                        data::ReadPreferences(parquet, {}, visit, data::Need::kQuestion));
  REIN_RETURN_IF_ERROR(source.Finish(parquet, read));
  return source;
}

absl::Status PromptSource::Add(data::PreferenceRow row, Seen& seen) {
  Stored added;
  std::string digests;
  for (const data::Picture& picture : row.pictures) {
    const absl::StatusOr<std::string> media_type = data::ImageMediaType(picture.bytes);
    if (!media_type.ok()) {
      ++report_.dropped["picture is neither PNG, JPEG nor WebP"];
      return absl::OkStatus();
    }
    v1::ImageRef* image = added.prompt.add_images();
    image->set_digest(Sha256Hex(picture.bytes));
    image->set_media_type(*media_type);
    image->set_size_bytes(static_cast<int64_t>(picture.bytes.size()));
    digests += image->digest();
  }
  if (!seen.emplace(digests, row.question).second) {
    ++report_.dropped["same picture and question"];
    return absl::OkStatus();
  }
  if (absl::StatusOr<data::Scene> scene = data::SceneOfRow(row); scene.ok()) added.scene = *std::move(scene);
  for (size_t i = 0; i < row.pictures.size(); ++i) {
    const std::string& digest = added.prompt.images(static_cast<int>(i)).digest();
    REIN_RETURN_IF_ERROR(pictures_.Keep(digest, std::move(row.pictures[i].bytes)));
  }
  added.prompt.set_question(std::move(row.question));
  added.prompt.set_category(std::move(row.category));
  rows_.push_back(std::move(added));
  return absl::OkStatus();
}

absl::Status PromptSource::Finish(const std::filesystem::path& parquet, const data::ReadReport& read) {
  report_.rows = read.rows;
  report_.kept = static_cast<int64_t>(size());
  for (const auto& [reason, count] : read.dropped) report_.dropped[reason] += count;
  const std::string reasons = Reasons(report_.dropped);
  if (rows_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(parquet.string(), ": none of ", report_.rows,
                                                   " rows can be a prompt; dropped: ", reasons));
  }
  order_.emplace(seed_ ^ kPromptStream, size());
  LogInfo(absl::StrCat("prompts: ", parquet.string(), " has ", report_.rows, " rows, kept ", size(), " with ",
                       pictures_.size(), " pictures, dropped ", report_.rows - report_.kept,
                       reasons.empty() ? "" : absl::StrCat(" (", reasons, ")")));
  return absl::OkStatus();
}

v1::Prompt PromptSource::Draw(uint64_t cursor) const {
  const size_t row = order_->At(static_cast<int64_t>(cursor));
  v1::Prompt prompt = rows_[row].prompt;
  prompt.set_prompt_id(absl::StrCat(id_prefix_, row, ".", cursor / size()));
  return prompt;
}

v1::Prompt PromptSource::Row(size_t row) const {
  v1::Prompt prompt = rows_[row].prompt;
  prompt.set_prompt_id(absl::StrCat(id_prefix_, row));
  return prompt;
}

std::optional<size_t> PromptSource::RowOf(absl::string_view prompt_id) const {
  if (!absl::ConsumePrefix(&prompt_id, id_prefix_)) return std::nullopt;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(prompt_id, absl::MaxSplits('.', 1));
  uint64_t row = 0;
  if (!absl::SimpleAtoi(parts.first, &row) || row >= size()) return std::nullopt;
  return static_cast<size_t>(row);
}

}  // namespace rein::coordinator
