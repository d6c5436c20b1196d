// The answers of models, each judged by itself, as files that need nothing else to be looked at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/evaluation/text_report.h"
#include "evaluation/answer_summary.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

struct ModelAnswers {
  std::string name;
  std::vector<evaluation::AnsweredQuestion> rows;
  std::map<std::string, int64_t> dropped;            // rows of the file, by reason
  std::vector<evaluation::AssessedAnswer> assessed;  // one a row
  evaluation::AnswerSummary summary;
  std::filesystem::path images;  // folder of the pictures
};

struct AnswerReport {
  std::vector<ModelAnswers> models;  // at least one
  nlohmann::json judge;              // Judge::ToJson
  evaluation::BootstrapOptions bootstrap;
  size_t examples = 24;  // questions shown in full

  bool synthetic() const { return judge.value("synthetic", false); }
};

// Every answer with its verdict, the counts and the estimates.
nlohmann::json AnswerJson(const AnswerReport& report);
std::string AnswerMarkdown(const AnswerReport& report);
std::string AnswerHtml(const AnswerReport& report);

// "SFT, Safe RLHF-V".
std::string TitleOf(const AnswerReport& report);

// Who judged, and how many answers of each model.
Facts FactsOf(const AnswerReport& report);

// Those that have rows: all measures, by category, by severity, what was left out.
std::vector<TextTable> TablesOf(const AnswerReport& report);

// Rows of the first model to show: of unsafe answers, refusals of benign questions and others the first ones,
// in turn.
std::vector<size_t> ChooseExamples(const AnswerReport& report);

// A question, and the answer of each model, by their order; nullptr where a model did not answer it.
struct AnsweredByAll {
  const evaluation::Question* question;
  std::vector<const evaluation::Answer*> answers;
  std::vector<const evaluation::AssessedAnswer*> assessed;
};
std::vector<AnsweredByAll> ExamplesOf(const AnswerReport& report);

// Makes the folder and writes report.json, .md and .html, the last one last. Errors: those of writing.
absl::Status WriteAnswerReport(const AnswerReport& report, const std::filesystem::path& folder);

}  // namespace rein::cli
