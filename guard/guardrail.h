// The multi-level guardrail of Beaver-Guard-V: questions are moderated before anything is generated, answers
// after it; what is flagged is generated again, for a bounded number of rounds. It knows neither models nor
// processes: what generates and what moderates is given to it.
//
// Of the paper's guardrail only the outline is known (five rounds of filtering and regeneration); levels,
// thresholds and texts here are Rein's choice (docs/guard.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "data/row.h"
#include "guard/verdict.h"

namespace rein::guard {

struct GuardrailOptions {
  // Questions at or above this level are refused and never reach the generator; nullopt: none are, except
  // those that cannot be moderated.
  std::optional<Severity> refuse_at = Severity::kSevere;
  // Answers at or above this level are generated again.
  Severity regenerate_at = Severity::kMinor;
  int rounds = 5;  // of generation, the first included
  // Whether a prompt that is generated again says why.
  bool give_reason = false;
  // What is said instead of an answer: to a refused question, and where no round gave one that passes.
  std::string refusal = "I can't help with this request.";
  std::string fallback = "I can't give a safe answer to this request.";
  uint64_t seed = 1;
};

// Errors: INVALID_ARGUMENT (an option out of its range: which).
absl::Status CheckOptions(const GuardrailOptions& options);

struct Question {
  std::string id;
  std::string text;
  std::vector<data::Picture> pictures;
};

// A question to moderate, or with an answer that answer.
struct Item {
  const Question* question = nullptr;
  const std::string* answer = nullptr;  // null: the question itself
};

class Moderator {
 public:
  virtual ~Moderator() = default;
  // One verdict an item; NotModerated where this one item is at fault. An error ends the run. Neither lets
  // anything through.
  virtual absl::StatusOr<std::vector<Verdict>> Moderate(absl::Span<const Item> items) = 0;
};

// One answer that is asked for.
struct Attempt {
  const Question* question = nullptr;
  std::string prompt;  // the question's text, after a flagged answer with the reason if that is wanted
  int round = 0;       // from 1
  uint64_t seed = 0;   // of this question and round
};

struct Generated {
  std::string answer;
  std::string failure;  // why there is none, where this one attempt is at fault; empty: there is one
};

class Generator {
 public:
  virtual ~Generator() = default;
  // One result an attempt. An error ends the run.
  virtual absl::StatusOr<std::vector<Generated>> Generate(absl::Span<const Attempt> attempts) = 0;
};

// What happened to a question.
struct Record {
  struct Round {
    std::string prompt;
    uint64_t seed = 0;
    std::string answer;
    Verdict verdict;  // not moderated where there is no answer
  };
  enum class End { kAnswered, kRefused, kFallback };

  std::string id;
  Verdict question;
  std::vector<Round> rounds;  // none where the question was refused
  End end = End::kAnswered;
  std::string answer;  // what the user gets
};

// "answered", "refused", "fallback".
absl::string_view EndName(Record::End end);
std::optional<Record::End> ParseEnd(absl::string_view name);

// Records in the order of questions. `progress`, after the moderation of the questions (round 0) and after
// each round, is told for how many questions there is no answer that passes. Equal questions, options,
// generator and moderator give equal records, whatever else is asked in the same batch. Errors: those of
// CheckOptions, generator and moderator; INTERNAL (another number of answers or verdicts than was asked for).
absl::StatusOr<std::vector<Record>> RunGuardrail(
    const GuardrailOptions& options, absl::Span<const Question> questions, Generator& generator,
    Moderator& moderator, absl::FunctionRef<void(int round, int64_t flagged)> progress);

// The state after a round, over all questions: what a user would get who stops there.
struct RoundRow {
  int round = 0;
  int64_t generated = 0;      // in this round
  int64_t flagged = 0;        // answers of this round that the guard did not let through
  int64_t not_moderated = 0;  // of those flagged: there was no answer, or the guard could not look at it
  int64_t passing = 0;        // questions whose newest answer passes, of all that were not refused
  int64_t refused = 0;        // questions
  bool operator==(const RoundRow&) const = default;
};

// Counts over records that come one at a time.
class RoundCounts {
 public:
  void Add(const Record& record);
  // One row a round, from 1 to the last in which anything was generated.
  std::vector<RoundRow> Rows() const;

  int64_t questions() const { return questions_; }
  int64_t refused() const { return refused_; }
  int64_t fallbacks() const { return fallbacks_; }
  int64_t answered() const { return questions_ - refused_ - fallbacks_; }
  // Questions that were refused because they could not be moderated.
  int64_t questions_not_moderated() const { return questions_not_moderated_; }

 private:
  struct Round {
    int64_t generated = 0;
    int64_t not_moderated = 0;
    int64_t passed = 0;  // answers of this round
  };
  std::vector<Round> rounds_;
  int64_t questions_ = 0, refused_ = 0, fallbacks_ = 0, questions_not_moderated_ = 0;
};

// The answer that a user gets who stops after `round` (from 1): the newest of the rounds up to it, flagged or
// not, or the refusal.
const std::string& AnswerAfter(const Record& record, int round);

}  // namespace rein::guard
