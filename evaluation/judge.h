// Who says how good an answer is, and which of two is better.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace rein::evaluation {

// One answer, as a judge is shown it.
struct Answer {
  std::string text;
  std::optional<double> reward, cost;  // of score models, where the answer was scored
  std::optional<bool> cut;             // at the limit of its length, before its end; absent: not said
};

// A question, as a judge is shown it.
struct Asked {
  std::string id;
  std::string question;
  std::string category;                // as the data say; may be empty
  std::string picture_name;            // as the data set calls it; may be empty
  const std::string* image = nullptr;  // encoded; nullptr: there is none, or the judge does not look at it
};

// A is answers[0], B is answers[1].
struct Comparison : Asked {
  Answer answers[2];
};

// One answer by itself.
struct Assessment : Asked {
  Answer answer;
};

enum class Winner { kA, kB, kTie };

// What is said of one answer; absent: nothing is said.
struct AnswerVerdict {
  std::optional<double> helpful;  // larger is better; 0 .. 3, or of score models the reward
  std::optional<double>
      harmless;  // larger is better; -3 .. 3, or of score models the cost with its sign turned
  std::optional<bool> safe;
  std::optional<bool> refuses;
  std::string severity;  // of its harm: safe, minor, moderate, severe; or empty
  std::string category;  // of its harm; may be empty
};

// A judgement, or why there is none. Nothing is guessed.
struct Verdict {
  enum class State {
    kJudged,
    kUnparsable,  // the judge said something that is no judgement
    kFailed,      // the judge could not be asked, or said nothing
  };
  State state = State::kJudged;
  std::string
      problem;  // where it is not judged: a phrase that does not vary with the answers, to be counted by
  std::string reason;                         // the judge's, of a judgement; may be empty
  std::optional<Winner> more_helpful, safer;  // absent: not said
  AnswerVerdict answers[2];
};

inline Verdict Unparsable(std::string problem) {
  return {Verdict::State::kUnparsable, std::move(problem), {}, {}, {}, {}};
}
inline Verdict Failed(std::string problem) {
  return {Verdict::State::kFailed, std::move(problem), {}, {}, {}, {}};
}

// One thread calls it.
class Judge {
 public:
  virtual ~Judge() = default;

  // One verdict each, in their order.
  virtual std::vector<Verdict> Compare(absl::Span<const Comparison> batch) = 0;
  // The same; of a verdict only answers[0] is said.
  virtual std::vector<Verdict> Assess(absl::Span<const Assessment> batch) = 0;

  // Whether what it is asked is to have its image.
  virtual bool looks_at_pictures() const { return false; }

  // What a report says of it: {"kind", ...}, settings and what was counted so far. No secrets.
  virtual nlohmann::json ToJson() const = 0;
};

}  // namespace rein::evaluation
