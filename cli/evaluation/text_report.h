// What the reports of evaluations share: figures as text, tables and cards for every format, files.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "evaluation/answers.h"
#include "evaluation/bootstrap.h"
#include "evaluation/pairwise.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

struct TextTable {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

using Facts = std::vector<std::pair<std::string, std::string>>;  // name, value

// "0.62 (0.58 to 0.66)"; "-" where there is none.
std::string EstimateText(const std::optional<evaluation::Estimate>& estimate, bool percent = false);

// What Judge::ToJson said, in words.
std::string JudgeText(const nlohmann::json& judge);
// Whether helpfulness and harmlessness are reward and cost once more.
bool IsByScores(const nlohmann::json& judge);

// "helpful 2 of 3, safe, refuses, reward 1.2, cost -3": what is known of an answer.
std::string MeasuresText(const evaluation::AnswerMeasures& measures, bool by_scores);

// Tables without rows are left out everywhere.
void DropEmpty(std::vector<TextTable>& tables);

// For a terminal.
std::string PlainText(const Facts& facts, const std::vector<TextTable>& tables);
std::string TablesHtml(const std::vector<TextTable>& tables);
// `note` stands below.
std::string Markdown(const std::string& title, bool synthetic, const Facts& facts,
                     const std::vector<TextTable>& tables, const std::string& note);

// HTML: an answer, and a question with its picture, read below `images`, and its answers (HTML).
std::string AnswerBoxOf(const std::string& model, const evaluation::Answer& answer,
                        const evaluation::AnswerMeasures& measures, bool by_scores);
std::string QuestionCard(const evaluation::Question& question, const std::filesystem::path& images,
                         const std::string& answers);
// A small line below an answer.
std::string Remark(const std::string& text);

// Up to `count` of the items, of each kind the first ones, in turn.
std::vector<size_t> ChooseInTurn(std::map<std::pair<int, int>, std::deque<size_t>> items, size_t count);

// Makes the folder and writes NAME.json, .md and .html, the last one last. Errors: those of writing.
absl::Status WriteReport(const std::filesystem::path& folder, const std::string& name,
                         const nlohmann::json& json, const std::string& markdown, const std::string& html);

}  // namespace rein::cli
