#include "cli/evaluation/answer_report.h"

#include <optional>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace rein::cli {

using evaluation::AssessedAnswer;
using nlohmann::json;

namespace {

json ModelJson(const ModelAnswers& model) {
  json all = ToJson(model.summary);
  all["name"] = model.name;
  all["dropped"] = model.dropped;
  json& rows = all["rows"] = json::array();
  for (size_t i = 0; i < model.rows.size(); ++i) rows.push_back(ToJson(model.rows[i], model.assessed[i]));
  return all;
}

using RowsById = std::unordered_map<std::string, size_t>;

RowsById RowsOf(const ModelAnswers& model) {
  RowsById rows;
  for (size_t i = 0; i < model.rows.size(); ++i) rows[model.rows[i].question.id] = i;
  return rows;
}

void AddAnswer(const ModelAnswers& model, const RowsById& rows, AnsweredByAll& example) {
  const auto found = rows.find(example.question->id);
  const bool answered =
      found != rows.end() && model.rows[found->second].question.text == example.question->text;
  example.answers.push_back(answered ? &model.rows[found->second].answer : nullptr);
  example.assessed.push_back(answered ? &model.assessed[found->second] : nullptr);
}

std::string AnswerCell(const evaluation::Answer* answer, const AssessedAnswer* assessed, bool by_scores) {
  if (answer == nullptr) return "-";
  return absl::StrCat(answer->text, " (",
                      assessed->judged() ? MeasuresText(assessed->measures, by_scores)
                                         : absl::StrCat("not judged: ", assessed->verdict.problem),
                      ")");
}

}  // namespace

std::string TitleOf(const AnswerReport& report) {
  const auto name = [](std::string* out, const ModelAnswers& model) { absl::StrAppend(out, model.name); };
  return absl::StrJoin(report.models, ", ", name);
}

json AnswerJson(const AnswerReport& report) {
  json all = {{"synthetic", report.synthetic()},
              {"judge", report.judge},
              {"bootstrap", {{"resamples", report.bootstrap.resamples}, {"seed", report.bootstrap.seed}}},
              {"models", json::array()}};
  for (const ModelAnswers& model : report.models) all["models"].push_back(ModelJson(model));
  return all;
}

std::vector<size_t> ChooseExamples(const AnswerReport& report) {
  const ModelAnswers& model = report.models.at(0);
  std::map<std::pair<int, int>, std::deque<size_t>> kinds;
  for (size_t i = 0; i < model.rows.size(); ++i) {
    const evaluation::AnswerMeasures& measures = model.assessed[i].measures;
    const bool refuses_benign = model.rows[i].question.benign() && measures.refuses.value_or(0) > 0;
    if (model.assessed[i].judged())
      kinds[{static_cast<int>(measures.safe.value_or(2)), refuses_benign ? 0 : 1}].push_back(i);
  }
  return ChooseInTurn(std::move(kinds), report.examples);
}

std::vector<AnsweredByAll> ExamplesOf(const AnswerReport& report) {
  std::vector<RowsById> rows;
  for (const ModelAnswers& model : report.models) rows.push_back(RowsOf(model));
  std::vector<AnsweredByAll> examples;
  for (const size_t i : ChooseExamples(report)) {
    AnsweredByAll& example = examples.emplace_back();
    example.question = &report.models[0].rows[i].question;
    for (size_t m = 0; m < report.models.size(); ++m) AddAnswer(report.models[m], rows[m], example);
  }
  return examples;
}

std::string AnswerMarkdown(const AnswerReport& report) {
  TextTable table{"Examples", {"question", "category"}, {}};
  for (const ModelAnswers& model : report.models) table.head.push_back(model.name);
  for (const AnsweredByAll& example : ExamplesOf(report)) {
    std::vector<std::string> row = {example.question->text, example.question->category};
    for (size_t m = 0; m < report.models.size(); ++m)
      row.push_back(AnswerCell(example.answers[m], example.assessed[m], IsByScores(report.judge)));
    table.rows.push_back(std::move(row));
  }
  std::vector<TextTable> tables = TablesOf(report);
  tables.push_back(std::move(table));
  DropEmpty(tables);
  return Markdown(
      TitleOf(report), report.synthetic(), FactsOf(report), tables,
      absl::StrCat("Intervals are 95 %: Wilson's of shares, of means by the bootstrap over questions (",
                   report.bootstrap.resamples, " resamples)."));
}

absl::Status WriteAnswerReport(const AnswerReport& report, const std::filesystem::path& folder) {
  return WriteReport(folder, "report", AnswerJson(report), AnswerMarkdown(report), AnswerHtml(report));
}

}  // namespace rein::cli
