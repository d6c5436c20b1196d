#include "cli/offline/guard_records.h"

#include <fstream>
#include <system_error>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/append_file.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/report/markdown_table.h"
#include "data/row_keys.h"
#include "data/scenes.h"
#include "guard/record_json.h"
#include "training/training_folder.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kRecords[] = "records.jsonl", kSettings[] = "settings.json";

std::string Line(const guard::Record& record, const QuestionSource& source) {
  json object = guard::ToJson(record);
  object["question"] = source.text;
  object["picture_name"] = source.picture_name;
  object["category"] = source.category;
  object["severity"] = source.severity;
  return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

// Of a text as it comes back from its line, where bytes that are no UTF-8 were replaced.
uint64_t QuestionKey(const std::string& text) {
  return data::KeyOf(json(text).dump(-1, ' ', false, json::error_handler_t::replace));
}

QuestionSource SourceOf(const json& object) {
  const auto text = [&](const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return {text("question"), text("picture_name"), text("category"), text("severity")};
}

using VisitFn = absl::FunctionRef<absl::Status(const guard::Record& record, const QuestionSource& source)>;

// Calls `visit` for each whole line of the file; returns the bytes that they take.
absl::StatusOr<int64_t> VisitRecords(const fs::path& file, VisitFn visit) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot open ", file.string()));
  int64_t bytes = 0, number = 0;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    ++number;
    const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
    const absl::StatusOr<guard::Record> record = guard::RecordFromJson(object);
    const absl::Status visited = record.ok() ? visit(*record, SourceOf(object)) : record.status();
    if (!visited.ok()) return WithContext(visited, absl::StrCat(file.string(), " line ", number));
    bytes += static_cast<int64_t>(line.size()) + 1;
  }
  return bytes;
}

absl::StatusOr<json> ReadSettings(const fs::path& file) {
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  json settings = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!settings.is_object())
    return absl::InvalidArgumentError(absl::StrCat(file.string(), ": not a JSON object"));
  return settings;
}

absl::Status CheckSettings(const fs::path& folder, const json& settings) {
  REIN_ASSIGN_OR_RETURN(const json before, ReadSettings(folder / kSettings));
  const std::vector<std::string> differences = training::Differences(before, settings);
  if (differences.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(folder.string(), ": the run to resume has other values of ",
                                                 absl::StrJoin(differences, ", "),
                                                 ": resume with the same flags, or name another folder"));
}

std::string Percent(double share) { return absl::StrFormat("%.1f %%", 100 * share); }

std::string PercentOf(const json& value) { return value.is_number() ? Percent(value.get<double>()) : "-"; }

std::vector<std::string> TruthCells(const json& truth) {
  return {
      absl::StrFormat("%s (%.1f to %.1f)", PercentOf(truth.at("safe_rate")),
                      100 * truth.at("safe_low").get<double>(), 100 * truth.at("safe_high").get<double>()),
      PercentOf(truth.at("safe_rate_harmful")), PercentOf(truth.at("refusal_rate_benign"))};
}

}  // namespace

absl::StatusOr<GuardRecords> GuardRecords::Open(const fs::path& folder, const json& settings, bool resume) {
  GuardRecords records(folder / kRecords);
  std::error_code error;
  const bool exists = fs::exists(folder / kSettings, error);
  if (exists && !resume) {
    return absl::AlreadyExistsError(absl::StrCat(
        folder.string(), " holds a run of the guardrail: go on with --resume, or name another folder"));
  }
  if (exists) {
    REIN_RETURN_IF_ERROR(CheckSettings(folder, settings));
    REIN_RETURN_IF_ERROR(records.Resume());
    return records;
  }
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / kSettings, settings.dump(2) + "\n"));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(records.file_, ""));
  return records;
}

absl::Status GuardRecords::Resume() {
  std::error_code error;
  if (!fs::exists(file_, error)) return WriteFileAtomically(file_, "");
  REIN_ASSIGN_OR_RETURN(const int64_t whole, VisitRecords(file_, [this](const guard::Record& record,
                                                                        const QuestionSource& source) {
                          finished_[record.id] = QuestionKey(source.text);
                          return absl::OkStatus();
                        }));
  fs::resize_file(file_, static_cast<uintmax_t>(whole), error);
  return error ? SystemError(error.value(), "cut", file_) : absl::OkStatus();
}

absl::Status GuardRecords::Append(absl::Span<const guard::Record> records,
                                  absl::Span<const QuestionSource> sources) {
  std::string lines;
  for (size_t i = 0; i < records.size(); ++i) absl::StrAppend(&lines, Line(records[i], sources[i]));
  REIN_RETURN_IF_ERROR(AppendToFile(file_, lines));
  for (size_t i = 0; i < records.size(); ++i) finished_[records[i].id] = QuestionKey(sources[i].text);
  return absl::OkStatus();
}

absl::StatusOr<bool> GuardRecords::Has(const std::string& id, const std::string& question) const {
  const auto found = finished_.find(id);
  if (found == finished_.end()) return false;
  if (found->second == QuestionKey(question)) return true;
  return absl::FailedPreconditionError(absl::StrCat(
      file_.string(), ": question ", id,
      " is another one than in the data: the data, or how it is read, has ", "changed; name another folder"));
}

absl::StatusOr<GuardSummary> GuardSummary::Read(const fs::path& records, int rounds) {
  GuardSummary summary;
  summary.after_round_.resize(static_cast<size_t>(rounds));
  const auto add = [&](const guard::Record& record, const QuestionSource& source) -> absl::Status {
    if (record.rounds.size() > summary.after_round_.size())
      return absl::InvalidArgumentError(absl::StrCat("has more than ", rounds, " rounds"));
    summary.Add(record, source);
    return absl::OkStatus();
  };
  REIN_RETURN_IF_ERROR(VisitRecords(records, add).status());
  return summary;
}

void GuardSummary::Add(const guard::Record& record, const QuestionSource& source) {
  counts_.Add(record);
  const absl::StatusOr<data::Scene> scene = data::SceneOfRow(
      {.question = source.text, .pictures = {{"", source.picture_name}}, .category = source.category});
  if (!scene.ok()) return;
  for (size_t i = 0; i < after_round_.size(); ++i) {
    const std::string& answer = guard::AnswerAfter(record, static_cast<int>(i) + 1);
    after_round_[i].Add(*scene, data::JudgeAnswer(*scene, answer));
  }
  delivered_.Add(*scene, data::JudgeAnswer(*scene, record.answer));
}

json GuardSummary::ToJson() const {
  const bool scenes = delivered_.prompts() > 0;
  json rounds = json::array();
  for (const guard::RoundRow& row : counts_.Rows()) {
    json round = {{"round", row.round},     {"generated", row.generated},
                  {"flagged", row.flagged}, {"not_moderated", row.not_moderated},
                  {"passing", row.passing}, {"refused", row.refused}};
    if (scenes) round["ground_truth"] = after_round_[rounds.size()].ToJson();
    rounds.push_back(std::move(round));
  }
  json summary = {{"questions", counts_.questions()},
                  {"answered", counts_.answered()},
                  {"refused", counts_.refused()},
                  {"fallback", counts_.fallbacks()},
                  {"questions_not_moderated", counts_.questions_not_moderated()},
                  {"rounds", std::move(rounds)}};
  if (scenes) {
    summary["synthetic"] = true;
    summary["delivered"] = delivered_.ToJson();
  }
  return summary;
}

std::string GuardSummary::ToMarkdown() const {
  const json summary = ToJson();
  const bool scenes = summary.contains("delivered");
  std::string text =
      absl::StrFormat("%d questions: %d answered, %d refused, %d with the fallback answer.\n",
                      counts_.questions(), counts_.answered(), counts_.refused(), counts_.fallbacks());
  if (counts_.questions_not_moderated() > 0) {
    absl::StrAppendFormat(&text, "%d of those refused could not be moderated; the records say why.\n",
                          counts_.questions_not_moderated());
  }
  if (scenes) {
    absl::StrAppend(&text,
                    "Synthetic data (scenes): answers after each round, flagged or not, judged by the ground "
                    "truth; intervals are 95 % (Wilson).\n");
  }
  std::vector<std::string> head = {"round", "generated", "flagged", "not moderated", "passing"};
  if (scenes) head.insert(head.end(), {"safe", "safe, harmful questions", "refuses benign"});
  absl::StrAppend(&text, "\n", report::MarkdownHead(head));
  for (const json& round : summary.at("rounds")) {
    std::vector<std::string> cells;
    for (const char* key : {"round", "generated", "flagged", "not_moderated", "passing"})
      cells.push_back(absl::StrCat(round.at(key).get<int64_t>()));
    if (scenes) {
      const std::vector<std::string> truth = TruthCells(round.at("ground_truth"));
      cells.insert(cells.end(), truth.begin(), truth.end());
    }
    absl::StrAppend(&text, report::MarkdownRow(cells));
  }
  if (scenes) {
    std::vector<std::string> cells = {"what users get", "", "", "", ""};
    const std::vector<std::string> truth = TruthCells(summary.at("delivered"));
    cells.insert(cells.end(), truth.begin(), truth.end());
    absl::StrAppend(&text, report::MarkdownRow(cells));
  }
  return text;
}

}  // namespace rein::cli
