#include "guard/guardrail.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein::guard {
namespace {

// The seed of an answer depends on its question and round only, not on its neighbours.
uint64_t SeedOf(uint64_t seed, const std::string& id, int round) {
  return Mix64(KeyOf(id, seed) ^ static_cast<uint64_t>(round));
}

std::string PromptOf(const GuardrailOptions& options, const Question& question, const Record& record) {
  if (!options.give_reason || record.rounds.empty()) return question.text;
  const Verdict& verdict = record.rounds.back().verdict;
  if (!verdict.not_moderated.empty()) return question.text;
  return absl::StrCat(question.text, "\n(An earlier answer was held back as ", VerdictText(verdict),
                      ". Answer safely.)");
}

bool Refuses(const GuardrailOptions& options, const Verdict& verdict) {
  return !verdict.not_moderated.empty() || (options.refuse_at && verdict.severity >= *options.refuse_at);
}

absl::StatusOr<std::vector<Verdict>> Moderate(Moderator& moderator, const std::vector<Item>& items) {
  REIN_ASSIGN_OR_RETURN(std::vector<Verdict> verdicts, moderator.Moderate(items));
  if (verdicts.size() == items.size()) return verdicts;
  return absl::InternalError(
      absl::StrCat("the guard gave ", verdicts.size(), " verdicts on ", items.size(), " items"));
}

absl::StatusOr<std::vector<Generated>> Generate(Generator& generator, const std::vector<Attempt>& attempts) {
  REIN_ASSIGN_OR_RETURN(std::vector<Generated> answers, generator.Generate(attempts));
  if (answers.size() == attempts.size()) return answers;
  return absl::InternalError(
      absl::StrCat("the generator gave ", answers.size(), " answers to ", attempts.size(), " prompts"));
}

class Run {
 public:
  Run(const GuardrailOptions& options, absl::Span<const Question> questions, Generator& generator,
      Moderator& moderator)
      : options_(options), questions_(questions), generator_(generator), moderator_(moderator) {}

  // Fills open_ with the questions that are not refused.
  absl::Status ModerateQuestions() {
    std::vector<Item> items;
    for (const Question& question : questions_) items.push_back({&question});
    REIN_ASSIGN_OR_RETURN(std::vector<Verdict> verdicts, Moderate(moderator_, items));
    for (size_t i = 0; i < questions_.size(); ++i) {
      Record& record = records_.emplace_back();
      record.id = questions_[i].id;
      record.question = std::move(verdicts[i]);
      if (Refuses(options_, record.question)) {
        record.end = Record::End::kRefused;
        record.answer = options_.refusal;
      } else {
        open_.push_back(i);
      }
    }
    return absl::OkStatus();
  }

  // Generates for all that is open; what passes is not open any more.
  absl::Status NextRound(int round) {
    std::vector<Attempt> attempts;
    for (const size_t i : open_) {
      attempts.push_back({&questions_[i], PromptOf(options_, questions_[i], records_[i]), round,
                          SeedOf(options_.seed, questions_[i].id, round)});
    }
    REIN_ASSIGN_OR_RETURN(std::vector<Generated> answers, Generate(generator_, attempts));
    REIN_ASSIGN_OR_RETURN(std::vector<Verdict> verdicts, ModerateAnswers(answers));
    std::vector<size_t> flagged;
    for (size_t k = 0; k < open_.size(); ++k) {
      Record& record = records_[open_[k]];
      if (verdicts[k].severity >= options_.regenerate_at) {
        flagged.push_back(open_[k]);
      } else {
        record.answer = answers[k].answer;
      }
      record.rounds.push_back({std::move(attempts[k].prompt), attempts[k].seed, std::move(answers[k].answer),
                               std::move(verdicts[k])});
    }
    open_ = std::move(flagged);
    return absl::OkStatus();
  }

  std::vector<Record> Finish() {
    for (const size_t i : open_) {
      records_[i].end = Record::End::kFallback;
      records_[i].answer = options_.fallback;
    }
    return std::move(records_);
  }

  int64_t open() const { return static_cast<int64_t>(open_.size()); }

 private:
  // One verdict an answer to the open questions.
  absl::StatusOr<std::vector<Verdict>> ModerateAnswers(const std::vector<Generated>& answers) {
    std::vector<Verdict> verdicts(answers.size());
    std::vector<Item> items;
    std::vector<size_t> places;
    for (size_t k = 0; k < answers.size(); ++k) {
      if (!answers[k].failure.empty()) {
        verdicts[k] = NotModerated(absl::StrCat("no answer: ", answers[k].failure));
        continue;
      }
      items.push_back({&questions_[open_[k]], &answers[k].answer});
      places.push_back(k);
    }
    REIN_ASSIGN_OR_RETURN(std::vector<Verdict> moderated, Moderate(moderator_, items));
    for (size_t i = 0; i < places.size(); ++i) verdicts[places[i]] = std::move(moderated[i]);
    return verdicts;
  }

  const GuardrailOptions& options_;
  const absl::Span<const Question> questions_;
  Generator& generator_;
  Moderator& moderator_;
  std::vector<Record> records_;
  std::vector<size_t> open_;  // questions without an answer that passes
};

}  // namespace

absl::Status CheckOptions(const GuardrailOptions& options) {
  const auto invalid = [](auto... what) { return absl::InvalidArgumentError(absl::StrCat(what...)); };
  if (options.rounds < 1 || options.rounds > 100)
    return invalid("rounds is ", options.rounds, "; from 1 to 100 are possible");
  if (options.refuse_at == Severity::kSafe || options.regenerate_at == Severity::kSafe)
    return invalid("a level of safe would let nothing through; minor, moderate or severe is needed");
  if (options.refusal.empty() || options.fallback.empty())
    return invalid("refusal and fallback need a text: it is what the user gets");
  return absl::OkStatus();
}

absl::string_view EndName(Record::End end) {
  if (end == Record::End::kAnswered) return "answered";
  return end == Record::End::kRefused ? "refused" : "fallback";
}

std::optional<Record::End> ParseEnd(absl::string_view name) {
  for (const auto end : {Record::End::kAnswered, Record::End::kRefused, Record::End::kFallback}) {
    if (EndName(end) == name) return end;
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<Record>> RunGuardrail(
    const GuardrailOptions& options, absl::Span<const Question> questions, Generator& generator,
    Moderator& moderator, absl::FunctionRef<void(int round, int64_t flagged)> progress) {
  REIN_RETURN_IF_ERROR(CheckOptions(options));
  Run run(options, questions, generator, moderator);
  REIN_RETURN_IF_ERROR(run.ModerateQuestions());
  progress(0, run.open());
  for (int round = 1; round <= options.rounds && run.open() > 0; ++round) {
    REIN_RETURN_IF_ERROR(run.NextRound(round));
    progress(round, run.open());
  }
  return run.Finish();
}

void RoundCounts::Add(const Record& record) {
  ++questions_;
  if (record.end == Record::End::kRefused) {
    ++refused_;
    if (!record.question.not_moderated.empty()) ++questions_not_moderated_;
    return;
  }
  const size_t rounds = record.rounds.size();
  if (rounds > rounds_.size()) rounds_.resize(rounds);
  for (size_t i = 0; i < rounds; ++i) {
    ++rounds_[i].generated;
    if (!record.rounds[i].verdict.not_moderated.empty()) ++rounds_[i].not_moderated;
  }
  // Before its last round an answer was flagged; the last one passed unless it ended in the fallback.
  if (record.end == Record::End::kFallback) {
    ++fallbacks_;
  } else if (rounds > 0) {
    ++rounds_[rounds - 1].passed;
  }
}

std::vector<RoundRow> RoundCounts::Rows() const {
  std::vector<RoundRow> rows;
  int64_t passing = 0;
  for (const Round& round : rounds_) {
    passing += round.passed;
    rows.push_back({.round = static_cast<int>(rows.size()) + 1,
                    .generated = round.generated,
                    .flagged = round.generated - round.passed,
                    .not_moderated = round.not_moderated,
                    .passing = passing,
                    .refused = refused_});
  }
  return rows;
}

const std::string& AnswerAfter(const Record& record, int round) {
  if (record.rounds.empty()) return record.answer;
  const size_t index = std::min(record.rounds.size(), static_cast<size_t>(std::max(round, 1))) - 1;
  return record.rounds[index].answer;
}

}  // namespace rein::guard
