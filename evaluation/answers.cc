#include "evaluation/answers.h"

#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "data/fields.h"
#include "data/pictures.h"
#include "data/records.h"

namespace rein::evaluation {
namespace {

using nlohmann::json;

std::optional<double> NumberOf(const std::string& name, data::Fields& fields) {
  const json* value = fields.Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    fields.Drop(absl::StrCat(name, " is not a finite number"));
    return std::nullopt;
  }
  return value->get<double>();
}

// Ids may be numbers.
std::string IdOf(data::Fields& fields) {
  const json* value = fields.Find("id");
  if (value != nullptr && value->is_number_integer()) return value->dump();
  std::string id = fields.Text("id", "id");
  if (id.empty()) fields.Drop("no id");
  return id;
}

AnsweredQuestion ParseRow(data::Fields& fields) {
  AnsweredQuestion row;
  if (const std::optional<std::string> why = fields.OptionalText("left_out")) fields.Drop(*why);
  row.question.id = IdOf(fields);
  row.question.text = fields.Text("question", "question");
  row.answer.text = fields.Text("answer", "answer");
  row.question.image = fields.OptionalText("image").value_or("");
  row.question.picture_name = fields.OptionalText("picture_name").value_or(row.question.image);
  row.question.category = fields.OptionalText("category").value_or("");
  row.question.severity = fields.OptionalText("severity").value_or("");
  row.answer.reward = NumberOf("reward", fields);
  row.answer.cost = NumberOf("cost", fields);
  row.answer.cut = fields.YesNo("cut", "cut is neither true nor false");
  return row;
}

void AddRecord(const data::Record& record, std::set<std::string>& ids, AnswerFile& answers) {
  static const data::ColumnNames as_they_are;
  ++answers.read;
  std::string reason = record.problem;
  AnsweredQuestion row;
  if (reason.empty()) {
    data::Fields fields(record.fields, as_they_are);
    row = ParseRow(fields);
    reason = fields.reason();
  }
  if (reason.empty() && !ids.insert(row.question.id).second) reason = "repeated id";
  if (!reason.empty()) {
    ++answers.dropped[reason];
    return;
  }
  answers.rows.push_back(std::move(row));
}

std::string ReasonsText(const std::map<std::string, int64_t>& dropped) {
  return absl::StrJoin(dropped, ", ", absl::PairFormatter(": "));
}

}  // namespace

absl::StatusOr<AnswerFile> ReadAnswers(const std::filesystem::path& file) {
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<data::RecordSource> source, data::OpenRecords(file, {}));
  AnswerFile answers;
  std::set<std::string> ids;
  data::Record record;
  while (true) {
    REIN_ASSIGN_OR_RETURN(const bool found, source->Next(record));
    if (!found) break;
    AddRecord(record, ids, answers);
  }
  if (!answers.rows.empty()) return answers;
  return data::BadFile(file, absl::StrCat("holds no row {\"id\", \"question\", \"answer\"}; dropped: ",
                                          ReasonsText(answers.dropped)));
}

absl::StatusOr<PairedAnswers> PairAnswers(const AnswerFile& ours, const AnswerFile& base) {
  std::map<std::string, const AnsweredQuestion*> by_id;
  for (const AnsweredQuestion& row : base.rows) by_id[row.question.id] = &row;
  PairedAnswers paired;
  int64_t common = 0;
  for (const AnsweredQuestion& row : ours.rows) {
    const auto found = by_id.find(row.question.id);
    if (found == by_id.end()) {
      ++paired.only_ours;
      continue;
    }
    ++common;
    const Question& other = found->second->question;
    const bool is_same = other.text == row.question.text && other.picture_name == row.question.picture_name;
    if (is_same)
      paired.pairs.push_back({row.question, row.answer, found->second->answer});
    else
      ++paired.different_questions;
  }
  paired.only_base = static_cast<int64_t>(base.rows.size()) - common;
  if (!paired.pairs.empty()) return paired;
  return absl::InvalidArgumentError(
      absl::StrCat("the two files answer no common question: ", paired.only_ours,
                   " ids are only in the first, ", paired.only_base, " only in the second, and ",
                   paired.different_questions, " ask something else; answer the same data with both models"));
}

absl::StatusOr<std::string> LoadImage(const std::filesystem::path& folder, const std::string& image) {
  json record = {{"image", image}};
  data::ReadOptions options;
  options.images = folder;
  data::Fields fields(record, options.columns);
  std::vector<data::Picture> pictures = data::ReadPictures(folder, options, record, fields);
  if (!fields.reason().empty()) return absl::NotFoundError(fields.reason());
  return std::move(pictures.at(0).bytes);
}

}  // namespace rein::evaluation
