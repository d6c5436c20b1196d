// The multi-level guardrail of Beaver-Guard-V: questions are moderated before anything is generated, answers
// after it; what is flagged is generated again, for a bounded number of rounds. It knows neither models nor
// processes: what generates and what moderates is given to it.
//
// Of the paper's guardrail only the outline is known (five rounds of filtering and regeneration); levels,
// thresholds and texts here are Rein's choice (docs/guard.md).
#pragma once

#include <cstdint>
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
  // Questions at or above this level are refused and never reach the generator.
  Severity refuse_at = Severity::kSevere;
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
  // One verdict an item. An error ends the run: what could not be moderated is never let through.
  virtual absl::StatusOr<std::vector<Verdict>> Moderate(absl::Span<const Item> items) = 0;
};

// One answer that is asked for.
struct Attempt {
  const Question* question = nullptr;
  std::string prompt;  // the question's text, after a flagged answer with the reason if that is wanted
  int round = 0;       // from 1
  uint64_t seed = 0;   // of this question and round
};

class Generator {
 public:
  virtual ~Generator() = default;
  // One answer an attempt.
  virtual absl::StatusOr<std::vector<std::string>> Generate(absl::Span<const Attempt> attempts) = 0;
};

// What happened to a question.
struct Record {
  struct Round {
    std::string prompt;
    uint64_t seed = 0;
    std::string answer;
    Verdict verdict;
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

// Records in the order of questions. `progress`, after the moderation of the questions (round 0) and after
// each round, is told for how many questions there is no
// answer that passes. Equal questions, options, generator and moderator
// give equal records, whatever else is asked in the same batch. Errors: those of CheckOptions, generator and
// moderator; INTERNAL (another number of answers or verdicts than was asked for).
absl::StatusOr<std::vector<Record>> RunGuardrail(
    const GuardrailOptions& options, absl::Span<const Question> questions, Generator& generator,
    Moderator& moderator, absl::FunctionRef<void(int round, int64_t flagged)> progress);

// The state after a round, over all questions: what a user would get who stops there.
struct RoundRow {
  int round = 0;
  int64_t generated = 0;  // in this round
  int64_t flagged = 0;    // answers of this round that the guard did not let through
  int64_t passing = 0;    // questions whose newest answer passes, of all that were not refused
  int64_t refused = 0;    // questions
};
// One row a round, from 1 to the last in which anything was generated.
std::vector<RoundRow> TableOfRounds(absl::Span<const Record> records);

// The answer that a user gets who stops after `round` (from 1): the newest of the rounds up to it, flagged or
// not, or the refusal.
const std::string& AnswerAfter(const Record& record, int round);

}  // namespace rein::guard
