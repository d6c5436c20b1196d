// Pairs of answers through a judge, in both orders.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/answers.h"
#include "evaluation/judge.h"

namespace rein::evaluation {

enum class Outcome { kWin, kTie, kLoss };  // of ours

// "win", "tie" or "loss".
const char* OutcomeName(Outcome outcome);

// What both orders came to for one dimension. Orders that disagree are a tie.
struct Settled {
  Outcome outcome = Outcome::kTie;
  bool orders_disagree = false;
};

// What is known of one answer: of a pair means over the two orders, so that flags on which they disagree are
// 0.5.
struct AnswerMeasures {
  std::optional<double> helpful, harmless, safe, refuses;  // of the judge
  std::optional<double> reward, cost;                      // of score models
};

struct JudgedPair {
  // [0]: ours was A; [1]: the base was A. Answers and winners are as the judge saw them.
  Verdict orders[2];
  std::optional<Settled> helpful, safer;  // absent: not judged in both orders
  AnswerMeasures ours, base;

  bool judged() const {
    return orders[0].state == Verdict::State::kJudged && orders[1].state == Verdict::State::kJudged;
  }
};

struct JudgingOptions {
  std::filesystem::path images;                           // folder of the pictures
  size_t batch = 32;                                      // questions whose pictures are in memory at a time
  std::function<void(size_t done, size_t all)> progress;  // after every batch; may be empty
};

// One a pair, in their order. A picture that cannot be read fails its pair, where the judge looks at
// pictures.
std::vector<JudgedPair> JudgePairs(const std::vector<AnswerPair>& pairs, Judge& judge,
                                   const JudgingOptions& options);

// From the verdicts of the two orders; `pair` gives reward and cost.
JudgedPair Settle(const AnswerPair& pair, Verdict ours_first, Verdict base_first);

}  // namespace rein::evaluation
