// Questions with their pictures and the answers before and after training.
#pragma once

#include <string>

#include "cli/report/run_record.h"
#include "cli/report/summary.h"

namespace rein::report {

// HTML; empty where there are no answers.
std::string AnswerCards(const RunRecord& record, const Summary& summary);

// "helpfulness 3 of 3, safe, reward 2.1, cost -3": what is known of an answer.
std::string VerdictText(const nlohmann::json& answer);

}  // namespace rein::report
