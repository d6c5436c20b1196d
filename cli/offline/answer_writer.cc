#include "cli/offline/answer_writer.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/append_file.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "data/image.h"
#include "data/row_keys.h"

namespace rein::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Path = std::filesystem::path;

constexpr char kImages[] = "images";
constexpr size_t kShownOptions = 3;

template <typename Json>
std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Path OptionsFile(Path file) { return file.replace_extension("options.json"); }

// "images/DIGEST.png"; empty where there is no picture, or nothing that could be shown.
std::string ImageOf(const data::Row& row) {
  if (row.pictures.size() != 1) return "";
  const std::string& bytes = row.pictures[0].bytes;
  const absl::StatusOr<std::string> type = data::ImageMediaType(bytes);
  if (!type.ok()) return "";
  return absl::StrCat(kImages, "/", Sha256Hex(bytes), ".", absl::StripPrefix(*type, "image/"));
}

void AddText(const char* key, const std::string& text, ordered_json& line) {
  if (!text.empty()) line[key] = text;
}

// The line of a row as far as the model has no part in it.
ordered_json QuestionOf(const data::Row& row) {
  ordered_json line = {{"question", row.question}};
  if (row.pictures.size() == 1) AddText("picture_name", row.pictures[0].path, line);
  AddText("category", row.category, line);
  AddText("severity", row.severity, line);
  return line;
}

template <typename Json>
uint64_t QuestionKey(const Json& line) {
  json question;
  for (const char* key : {"question", "picture_name", "category", "severity"}) {
    if (line.contains(key)) question[key] = line[key];
  }
  return data::KeyOf(Dump(question));
}

ordered_json LineOf(int64_t id, const data::Row& row, const ModelAnswer& answer) {
  ordered_json line = {{"id", id}};
  line.update(QuestionOf(row));
  if (!answer.text) {
    line["left_out"] = answer.problems.at(0).reason;
    return line;
  }
  line["answer"] = answer.text->text;
  AddText("image", ImageOf(row), line);
  if (answer.reward) line["reward"] = *answer.reward;
  if (answer.cost) line["cost"] = *answer.cost;
  line["cut"] = !answer.text->stopped;
  return line;
}

absl::Status WritePicture(const Path& folder, const data::Row& row) {
  const std::string image = ImageOf(row);
  std::error_code error;
  if (image.empty() || std::filesystem::exists(folder / image, error)) return absl::OkStatus();
  REIN_RETURN_IF_ERROR(MakeFolder(folder / kImages));
  return WriteFileAtomically(folder / image, row.pictures[0].bytes);
}

absl::Status CheckOptions(const Path& file, const json& now) {
  const absl::StatusOr<std::string> text = ReadFile(OptionsFile(file));
  if (absl::IsNotFound(text.status())) {
    return absl::AlreadyExistsError(
        absl::StrCat(file.string(), ": exists, and without ", OptionsFile(file).filename().string(),
                     " beside it an earlier run of rein eval answers cannot go on; name another --output"));
  }
  REIN_RETURN_IF_ERROR(text.status());
  const json before = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> changes;
  for (const auto& [name, value] : now.items()) {
    const json earlier = before.is_object() ? before.value(name, json()) : json();
    if (earlier != value)
      changes.push_back(absl::StrCat(name, " ", Dump(earlier), " (now ", Dump(value), ")"));
  }
  if (changes.empty()) return absl::OkStatus();
  const size_t more = changes.size() > kShownOptions ? changes.size() - kShownOptions : 0;
  changes.resize(changes.size() - more);
  return absl::FailedPreconditionError(
      absl::StrCat(file.string(), ": was begun with ", absl::StrJoin(changes, ", "),
                   more > 0 ? absl::StrCat(" and ", more, " more differences") : "",
                   "; give the same options to go on, name another --output, or delete the file"));
}

}  // namespace

absl::StatusOr<AnswerWriter> AnswerWriter::Open(const Path& file, const json& options) {
  AnswerWriter writer(file, options);
  std::error_code error;
  if (const auto size = std::filesystem::file_size(file, error); !error && size > 0) {
    REIN_RETURN_IF_ERROR(CheckOptions(file, options));
    REIN_RETURN_IF_ERROR(writer.Load());
    return writer;
  }
  if (file.has_parent_path()) REIN_RETURN_IF_ERROR(MakeFolder(file.parent_path()));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(OptionsFile(file), absl::StrCat(options.dump(1), "\n")));
  REIN_RETURN_IF_ERROR(AppendToFile(file, ""));
  return writer;
}

absl::Status AnswerWriter::Load() {
  std::ifstream stream(file_, std::ios::binary);
  uint64_t whole = 0;
  std::string text;
  while (std::getline(stream, text) && !stream.eof()) {
    REIN_RETURN_IF_ERROR(TakeLine(text));
    whole += text.size() + 1;
  }
  if (stream.bad()) return absl::UnavailableError(absl::StrCat(file_.string(), ": cannot be read"));
  std::error_code error;
  std::filesystem::resize_file(file_, whole, error);
  return error ? SystemError(error.value(), "cannot cut off half a line of", file_) : absl::OkStatus();
}

absl::Status AnswerWriter::TakeLine(const std::string& text) {
  const json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool is_ours = line.is_object() && line.value("id", json()) == written() + 1 &&
                       (line.contains("answer") || line.value("left_out", json()).is_string());
  if (!is_ours) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_.string(), ": line ", written() + 1,
                     " is none of rein eval answers; name another --output, or delete the file"));
  }
  Take(line);
  return absl::OkStatus();
}

void AnswerWriter::Take(const json& line) {
  const bool answered = line.contains("answer");
  lines_.push_back({QuestionKey(line), answered ? data::KeyOf(Dump(line.value("image", json("")))) : 0});
  if (!answered) {
    ++problems_[line["left_out"].get<std::string>()];
    return;
  }
  ++answers_;
  cut_ += line.value("cut", json()) == true ? 1 : 0;
  for (const char* score : {"reward", "cost"}) {
    if (options_.value(score, json()).is_string() && !line.contains(score))
      ++problems_[UnscoredReason(score)];
  }
}

absl::Status AnswerWriter::Check(int64_t id, const data::Row& row) const {
  const Line& line = lines_.at(static_cast<size_t>(id) - 1);
  const json parsed = json::parse(Dump(QuestionOf(row)));
  const bool same_picture = line.picture == 0 || line.picture == data::KeyOf(Dump(json(ImageOf(row))));
  if (line.question == QuestionKey(parsed) && same_picture) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(file_.string(), ": line ", id, " answers another question than row ", id,
                   " of the data; give the data that it was begun with, or name another --output"));
}

absl::Status AnswerWriter::Add(const std::vector<data::Row>& rows, const std::vector<ModelAnswer>& answers) {
  std::string text;
  std::vector<std::string> lines;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (answers[i].text) REIN_RETURN_IF_ERROR(WritePicture(file_.parent_path(), rows[i]));
    lines.push_back(Dump(LineOf(written() + 1 + static_cast<int64_t>(i), rows[i], answers[i])));
    absl::StrAppend(&text, lines.back(), "\n");
  }
  REIN_RETURN_IF_ERROR(AppendToFile(file_, text));
  for (const std::string& line : lines) Take(json::parse(line));
  return absl::OkStatus();
}

}  // namespace rein::cli
