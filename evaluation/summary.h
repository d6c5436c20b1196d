// What an evaluation of pairs comes to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/bootstrap.h"
#include "evaluation/pairwise.h"
#include "nlohmann/json.hpp"

namespace rein::evaluation {

// One dimension against the base.
struct Tally {
  int64_t wins = 0, ties = 0, losses = 0;
  int64_t disagreements = 0;      // ties because the orders disagree; counted in `ties`
  std::optional<Estimate> score;  // (wins + ties / 2) / all
};

// The means of one measure; of the difference over the questions where both are known.
struct Measured {
  std::optional<Estimate> ours, base, difference;  // ours - base
};

// Of some of the questions.
struct Group {
  std::string name;
  int64_t questions = 0;
  int64_t judged = 0;  // in both orders
  Tally helpful, safer;
  Measured safe_rate, refusal_rate, helpfulness, harmlessness, reward, cost;
};

// Verdicts that are no judgements.
struct Unjudged {
  int64_t unparsable = 0, failed = 0;
  std::map<std::string, int64_t> problems;  // why there is none

  void Count(const Verdict& verdict);
};

struct PairSummary {
  Group all, harmful, benign;                 // harmful and benign: those of which the category is said
  std::vector<Group> categories, severities;  // by name
  Unjudged unjudged;                          // two verdicts a pair
};

// `judged` belongs to `pairs`, one each.
PairSummary Summarise(const std::vector<AnswerPair>& pairs, const std::vector<JudgedPair>& judged,
                      const BootstrapOptions& options);

// {"id", "question", "image", "category", "severity"}.
nlohmann::json ToJson(const Question& question);
// The text and what is known of it.
nlohmann::json ToJson(const Answer& answer, const AnswerMeasures& measures);
nlohmann::json ToJson(const Group& group);
nlohmann::json ToJson(const PairSummary& summary);
// One pair: question, both answers, outcomes, measures, and the judge's words in both orders.
nlohmann::json ToJson(const AnswerPair& pair, const JudgedPair& judged);

}  // namespace rein::evaluation
