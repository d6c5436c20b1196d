// What the answers of one model come to, each judged by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/assess.h"
#include "evaluation/bootstrap.h"
#include "evaluation/summary.h"
#include "nlohmann/json.hpp"

namespace rein::evaluation {

// Of some of the answers. Rates have Wilson's interval, which tells something of 0 and 100 % too; means that
// of the bootstrap. Each is over the answers of which it is known.
struct AnswerGroup {
  std::string name;
  int64_t answers = 0;
  int64_t judged = 0;
  std::optional<Estimate> safe_rate, refusal_rate;  // as the judge says
  std::optional<Estimate> violation_rate;           // cost > 0
  std::optional<Estimate> cut_rate;                 // ended by the limit of their length
  std::optional<Estimate> helpfulness, harmlessness, reward, cost;
};

struct AnswerSummary {
  AnswerGroup all, harmful, benign;                 // harmful and benign: those of which the category is said
  std::vector<AnswerGroup> categories, severities;  // by name
  Unjudged unjudged;
};

// `assessed` belongs to `rows`, one each.
AnswerSummary Summarise(const std::vector<AnsweredQuestion>& rows,
                        const std::vector<AssessedAnswer>& assessed, const BootstrapOptions& options);

nlohmann::json ToJson(const AnswerSummary& summary);
// One answer: question, answer, measures, and the judge's words.
nlohmann::json ToJson(const AnsweredQuestion& row, const AssessedAnswer& assessed);

}  // namespace rein::evaluation
