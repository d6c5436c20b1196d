#include "guard/guardrail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace rein::guard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Verdict Of(Severity severity) {
  Verdict verdict{.severity = severity};
  for (size_t i = 0; i < verdict.at_or_above.size(); ++i)
    verdict.at_or_above[i] = static_cast<int>(severity) > static_cast<int>(i) ? 0.9 : 0.1;
  if (severity != Severity::kSafe) verdict.categories = {"animal_abuse"};
  return verdict;
}

// Answers name question and round; the seeds are written down.
class NumberedAnswers : public Generator {
 public:
  absl::StatusOr<std::vector<Generated>> Generate(absl::Span<const Attempt> attempts) override {
    std::vector<Generated> answers;
    for (const Attempt& attempt : attempts) {
      std::string answer = absl::StrCat(attempt.question->id, " round ", attempt.round);
      prompts_.push_back(attempt.prompt);
      seeds_[answer] = attempt.seed;
      const auto failure = failures_.find(answer);
      answers.push_back(failure == failures_.end() ? Generated{std::move(answer), ""}
                                                   : Generated{"", failure->second});
    }
    if (lose_one_) answers.pop_back();
    return answers;
  }
  std::vector<std::string> prompts_;
  std::map<std::string, uint64_t> seeds_;
  std::map<std::string, std::string> failures_;
  bool lose_one_ = false;
};

// Knows what it says of each text; safe where nothing is said.
class Listed : public Moderator {
 public:
  explicit Listed(std::map<std::string, Severity> severities) : severities_(std::move(severities)) {}
  absl::StatusOr<std::vector<Verdict>> Moderate(absl::Span<const Item> items) override {
    if (broken_) return absl::UnavailableError("the guard is away");
    std::vector<Verdict> verdicts;
    for (const Item& item : items) {
      const std::string& text = item.answer != nullptr ? *item.answer : item.question->text;
      if (unreadable_.contains(text)) {
        verdicts.push_back(NotModerated("picture 1: not an image"));
        continue;
      }
      const auto found = severities_.find(text);
      verdicts.push_back(Of(found == severities_.end() ? Severity::kSafe : found->second));
    }
    return verdicts;
  }
  std::map<std::string, Severity> severities_;
  std::set<std::string> unreadable_;
  bool broken_ = false;
};

RoundCounts CountsOf(const std::vector<Record>& records) {
  RoundCounts counts;
  for (const Record& record : records) counts.Add(record);
  return counts;
}

class GuardrailTest : public testing::Test {
 protected:
  GuardrailTest()
      : moderator_({{"how to burn", Severity::kSevere},
                    {"b round 1", Severity::kMinor},
                    {"b round 2", Severity::kModerate},
                    {"c round 1", Severity::kSevere},
                    {"c round 2", Severity::kSevere},
                    {"c round 3", Severity::kMinor}}) {}

  absl::StatusOr<std::vector<Record>> Run() {
    flagged_.clear();
    return RunGuardrail(options_, questions_, generator_, moderator_,
                        [this](int, int64_t flagged) { flagged_.push_back(flagged); });
  }

  GuardrailOptions options_{.rounds = 3};
  std::vector<Question> questions_ = {
      {"a", "what is this", {}}, {"x", "how to burn", {}}, {"b", "who", {}}, {"c", "when", {}}};
  NumberedAnswers generator_;
  Listed moderator_;
  std::vector<int64_t> flagged_;
};

TEST_F(GuardrailTest, RefusesRegeneratesAndFallsBack) {
  const auto records = Run();
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(flagged_, ElementsAre(3, 2, 2, 1));
  const Record &a = (*records)[0], &x = (*records)[1], &b = (*records)[2], &c = (*records)[3];
  EXPECT_EQ(a.answer, "a round 1");
  EXPECT_EQ(a.rounds.size(), 1u);
  EXPECT_EQ(x.end, Record::End::kRefused);
  EXPECT_EQ(x.answer, options_.refusal);
  EXPECT_TRUE(x.rounds.empty());
  EXPECT_EQ(x.question.severity, Severity::kSevere);
  EXPECT_EQ(b.end, Record::End::kAnswered);
  EXPECT_EQ(b.answer, "b round 3");
  EXPECT_EQ(b.rounds[1].verdict.severity, Severity::kModerate);
  EXPECT_EQ(c.end, Record::End::kFallback);
  EXPECT_EQ(c.answer, options_.fallback);
  EXPECT_EQ(c.rounds.size(), 3u);
}

TEST_F(GuardrailTest, KeepsAnswersBelowTheLevel) {
  options_.regenerate_at = Severity::kSevere;
  const auto records = Run();
  ASSERT_TRUE(records.ok());
  EXPECT_EQ((*records)[2].answer, "b round 1");
  EXPECT_EQ((*records)[3].answer, "c round 3");
}

TEST_F(GuardrailTest, CountsWhatPassesAfterEachRound) {
  const RoundCounts counts = CountsOf(*Run());
  EXPECT_EQ(counts.questions(), 4);
  EXPECT_EQ(counts.answered(), 2);
  EXPECT_EQ(counts.refused(), 1);
  EXPECT_EQ(counts.fallbacks(), 1);
  const std::vector<RoundRow> rows = counts.Rows();
  ASSERT_EQ(rows.size(), 3u);
  const int64_t generated[] = {3, 2, 2}, flagged[] = {2, 2, 1}, passing[] = {1, 1, 2};
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].round, static_cast<int>(i) + 1);
    EXPECT_EQ(rows[i].generated, generated[i]);
    EXPECT_EQ(rows[i].flagged, flagged[i]);
    EXPECT_EQ(rows[i].passing, passing[i]);
    EXPECT_EQ(rows[i].refused, 1);
  }
}

TEST_F(GuardrailTest, TellsTheAnswerAfterEachRound) {
  const auto records = Run();
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(AnswerAfter((*records)[0], 3), "a round 1");
  EXPECT_EQ(AnswerAfter((*records)[2], 1), "b round 1");
  EXPECT_EQ(AnswerAfter((*records)[2], 2), "b round 2");
  EXPECT_EQ(AnswerAfter((*records)[1], 2), options_.refusal);
}

TEST_F(GuardrailTest, SeedsDependOnQuestionAndRoundOnly) {
  ASSERT_TRUE(Run().ok());
  const auto together = generator_.seeds_;
  std::map<uint64_t, int> times;
  for (const auto& [answer, seed] : together) EXPECT_EQ(++times[seed], 1) << answer;
  generator_.seeds_.clear();
  questions_ = {questions_[3]};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(generator_.seeds_.size(), 3u);
  for (const auto& [answer, seed] : generator_.seeds_) EXPECT_EQ(together.at(answer), seed) << answer;
}

TEST_F(GuardrailTest, GivesTheReasonWhenAsked) {
  ASSERT_TRUE(Run().ok());
  for (const std::string& prompt : generator_.prompts_)
    EXPECT_THAT(prompt, testing::Not(HasSubstr("held back")));
  options_.give_reason = true;
  const auto records = Run();
  ASSERT_TRUE(records.ok());
  const Record& b = (*records)[2];
  EXPECT_EQ(b.rounds[0].prompt, "who");
  EXPECT_THAT(b.rounds[1].prompt, HasSubstr("who\n(An earlier answer was held back as minor: animal_abuse"));
}

TEST_F(GuardrailTest, LetsNothingThroughThatWasNotModerated) {
  moderator_.broken_ = true;
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(GuardrailTest, SurvivesItemsThatCannotBeModeratedAndLetsNoneThrough) {
  moderator_.unreadable_ = {"what is this", "b round 1"};
  generator_.failures_ = {{"c round 2", "the prompt is too long"}};
  options_.refuse_at = std::nullopt;
  const auto records = Run();
  ASSERT_TRUE(records.ok()) << records.status();
  const Record &a = (*records)[0], &x = (*records)[1], &b = (*records)[2], &c = (*records)[3];
  EXPECT_EQ(a.end, Record::End::kRefused);
  EXPECT_EQ(a.answer, options_.refusal);
  EXPECT_EQ(VerdictText(a.question), "could not be moderated: picture 1: not an image");
  EXPECT_EQ(x.answer, "x round 1");  // severe, but no question is refused for its level
  EXPECT_EQ(b.rounds[0].verdict.severity, Severity::kSevere);
  EXPECT_EQ(b.answer, "b round 3");
  EXPECT_EQ(c.rounds[1].answer, "");
  EXPECT_EQ(c.rounds[1].verdict.not_moderated, "no answer: the prompt is too long");
  EXPECT_EQ(c.end, Record::End::kFallback);
  const RoundCounts counts = CountsOf(*records);
  EXPECT_EQ(counts.questions_not_moderated(), 1);
  EXPECT_EQ(counts.Rows()[0].not_moderated, 1);
  EXPECT_EQ(counts.Rows()[1].not_moderated, 1);
  EXPECT_EQ(counts.Rows()[2].not_moderated, 0);
}

TEST_F(GuardrailTest, GivesNoReasonWhereThereIsNone) {
  moderator_.unreadable_ = {"b round 1"};
  options_.give_reason = true;
  const auto records = Run();
  ASSERT_TRUE(records.ok());
  EXPECT_EQ((*records)[2].rounds[1].prompt, "who");
}

TEST_F(GuardrailTest, NoticesALostAnswer) {
  generator_.lose_one_ = true;
  EXPECT_THAT(Run().status().message(), HasSubstr("2 answers to 3 prompts"));
}

TEST_F(GuardrailTest, RefusesOptionsThatMakeNoSense) {
  options_.rounds = 0;
  EXPECT_THAT(Run().status().message(), HasSubstr("rounds is 0"));
  options_ = {.regenerate_at = Severity::kSafe};
  EXPECT_THAT(Run().status().message(), HasSubstr("minor, moderate or severe"));
  options_ = {.fallback = ""};
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(GuardrailTest, HasNothingToDoWithoutQuestions) {
  questions_.clear();
  const auto records = Run();
  ASSERT_TRUE(records.ok());
  EXPECT_TRUE(CountsOf(*records).Rows().empty());
}

TEST(Verdict, ReadsAndWritesLevels) {
  for (int level = 0; level < kLevels; ++level) {
    const auto severity = static_cast<Severity>(level);
    EXPECT_EQ(ParseSeverity(SeverityName(severity)), severity);
  }
  EXPECT_EQ(ParseSeverity("Severe"), std::nullopt);
  EXPECT_EQ(ParseEnd(EndName(Record::End::kFallback)), Record::End::kFallback);
  EXPECT_EQ(ParseEnd("lost"), std::nullopt);
  EXPECT_EQ(VerdictText(Of(Severity::kModerate)), "moderate: animal_abuse (p(moderate) = 0.90)");
  EXPECT_EQ(VerdictText(Of(Severity::kSafe)), "safe (p(minor) = 0.10)");
}

}  // namespace
}  // namespace rein::guard
