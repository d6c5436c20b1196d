// The tables of an evaluation of pairs, as text for every format.
#pragma once

#include <string>
#include <vector>

#include "cli/evaluation/pair_report.h"
#include "cli/evaluation/text_report.h"

namespace rein::cli {

// Those that have rows.
std::vector<TextTable> TablesOf(const PairReport& report);

// What was compared, by whom, and what was left out.
Facts FactsOf(const PairReport& report);

// "more helpful: win; safer: tie (the orders disagree)".
std::string OutcomesText(const evaluation::JudgedPair& judged);

}  // namespace rein::cli
