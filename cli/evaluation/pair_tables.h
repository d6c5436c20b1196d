// The tables of an evaluation of pairs, as text for every format.
#pragma once

#include <string>
#include <vector>

#include "cli/evaluation/pair_report.h"

namespace rein::cli {

struct TextTable {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

// Those that have rows.
std::vector<TextTable> TablesOf(const PairReport& report);

// What was compared, by whom, and what was left out: name and value.
std::vector<std::pair<std::string, std::string>> FactsOf(const PairReport& report);

// "0.62 (0.58 to 0.66)"; "-" where there is none.
std::string EstimateText(const std::optional<evaluation::Estimate>& estimate, bool percent = false);

// "helpful 2 of 3, safe, refuses, reward 1.2, cost -3": what is known of an answer.
std::string MeasuresText(const evaluation::AnswerMeasures& measures, bool by_scores);

// "more helpful: win; safer: tie (the orders disagree)".
std::string OutcomesText(const evaluation::JudgedPair& judged);

}  // namespace rein::cli
