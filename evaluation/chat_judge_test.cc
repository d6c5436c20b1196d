#include "evaluation/chat_judge.h"

#include <atomic>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/synchronization/barrier.h"
#include "base/file.h"
#include "base/test_folder.h"
#include "data/image.h"
#include "evaluation/fake_clock.h"
#include "evaluation/http_server_under_test.h"
#include "evaluation/protocol.h"
#include "evaluation/reply_under_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;

std::string Completion(const std::string& content) { return HttpBytes(200, CompletionOf(content).dump()); }

std::string GoodCompletion() { return Completion(GoodReply().dump()); }

// Gives the replies one after the other, the last one again and again.
HttpServerUnderTest::ReplyFn InTurn(std::vector<std::string> replies) {
  auto next = std::make_shared<std::atomic<size_t>>(0);
  return [replies = std::move(replies), next](const ServedRequest&) {
    return replies[std::min((*next)++, replies.size() - 1)];
  };
}

ChatJudgeOptions OptionsFor(const HttpServerUnderTest& server) {
  ChatJudgeOptions options;
  options.url = server.url();
  options.model = "judge-1";
  options.concurrency = 1;
  options.timeout = absl::Seconds(30);
  return options;
}

std::unique_ptr<ChatJudge> MakeJudge(const ChatJudgeOptions& options, Clock& clock) {
  auto judge = ChatJudge::Make(options, clock);
  EXPECT_TRUE(judge.ok()) << judge.status();
  return *std::move(judge);
}

Comparison AComparison(const std::string& id = "1") {
  Comparison comparison;
  comparison.id = id;
  comparison.question = "What is it, " + id + "?";
  comparison.answers[0].text = "A circle.";
  comparison.answers[1].text = "I cannot help.";
  return comparison;
}

Verdict AskOnce(ChatJudge& judge, const Comparison& comparison = AComparison()) {
  std::vector<Verdict> verdicts = judge.Compare({comparison});
  EXPECT_EQ(verdicts.size(), 1u);
  return verdicts.at(0);
}

TEST(ChatJudge, AsksWithThePictureAndReadsTheReply) {
  HttpServerUnderTest server(InTurn({GoodCompletion()}));
  FakeClock clock;
  ChatJudgeOptions options = OptionsFor(server);
  options.key = "secret-key";
  options.request = {{"seed", 7}, {"max_tokens", nullptr}};
  const auto judge = MakeJudge(options, clock);
  const std::string image = *data::EncodePng({2, 1, {1, 2, 3, 4, 5, 6}});
  Comparison comparison = AComparison();
  comparison.image = &image;
  const Verdict verdict = AskOnce(*judge, comparison);
  ASSERT_EQ(verdict.state, Verdict::State::kJudged) << verdict.problem;
  EXPECT_EQ(verdict.more_helpful, Winner::kA);
  EXPECT_EQ(verdict.safer, Winner::kB);
  ASSERT_EQ(server.requests().size(), 1u);
  const ServedRequest request = server.requests()[0];
  EXPECT_THAT(request.head, AllOf(HasSubstr("POST /v1/chat/completions HTTP/1.1\r\n"),
                                  HasSubstr("Authorization: Bearer secret-key\r\n"),
                                  HasSubstr("Content-Type: application/json\r\n")));
  const json body = json::parse(request.body);
  EXPECT_EQ(body["model"], "judge-1");
  EXPECT_EQ(body["temperature"], 0);
  EXPECT_EQ(body["seed"], 7);
  EXPECT_FALSE(body.contains("max_tokens"));
  EXPECT_EQ(body["messages"][0]["content"], SystemPrompt());
  const json& content = body["messages"][1]["content"];
  EXPECT_EQ(content[0]["image_url"]["url"], "data:image/png;base64," + absl::Base64Escape(image));
  EXPECT_EQ(content[1]["text"], UserPrompt(comparison));
}

TEST(ChatJudge, AssessesOneAnswerByItsOwnProtocol) {
  HttpServerUnderTest server(
      InTurn({Completion(GoodSingleReply().dump()), Completion("It is fine."), HttpBytes(400, "")}));
  FakeClock clock;
  const auto judge = MakeJudge(OptionsFor(server), clock);
  const std::string image = *data::EncodePng({2, 1, {1, 2, 3, 4, 5, 6}});
  std::vector<Assessment> assessments(3);
  for (int i = 0; i < 3; ++i) assessments[i].answer.text = "A circle, " + std::to_string(i);
  assessments[0].image = &image;
  const std::vector<Verdict> verdicts = judge->Assess(assessments);
  EXPECT_EQ(verdicts[0].answers[0].severity, "minor");
  EXPECT_EQ(verdicts[1].state, Verdict::State::kUnparsable);
  EXPECT_EQ(verdicts[2].state, Verdict::State::kFailed);
  const json body = json::parse(server.requests()[0].body);
  EXPECT_EQ(body["messages"][0]["content"], SingleSystemPrompt());
  EXPECT_EQ(body["messages"][1]["content"][0]["type"], "image_url");
  EXPECT_EQ(body["messages"][1]["content"][1]["text"], SingleUserPrompt(assessments[0]));
  EXPECT_EQ(judge->ToJson()["protocol"], kSingleProtocolVersion);
  judge->Assess(assessments);  // the first two are known
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST(ChatJudge, TriesAgainUntilThereIsAReply) {
  HttpServerUnderTest server(InTurn({HttpBytes(429, "", "Retry-After: 33\r\n"), HttpBytes(500, "{}"), "",
                                     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                                     HttpBytes(503, "rubbish"), GoodCompletion()}));
  FakeClock clock;
  const auto judge = MakeJudge(OptionsFor(server), clock);
  EXPECT_EQ(AskOnce(*judge).state, Verdict::State::kJudged);
  const std::vector<absl::Duration> slept = clock.slept();
  ASSERT_EQ(slept.size(), 5u);
  EXPECT_EQ(slept[0], absl::Seconds(33));
  for (int i = 1; i < 5; ++i) {
    EXPECT_THAT(slept[i], AllOf(Ge(absl::Milliseconds(500) * (1 << i)), Le(absl::Seconds(1) * (1 << i))))
        << i;
  }
  EXPECT_EQ(judge->ToJson()["requests"], 6);
  EXPECT_EQ(judge->ToJson()["retries"], 5);
}

TEST(ChatJudge, FailsAfterItsAttemptsAndSaysWhy) {
  const std::vector<std::pair<std::string, std::string>> replies = {
      {HttpBytes(429, ""), "HTTP status 429 (too many requests)"},
      {HttpBytes(502, "<html>"), "HTTP status 502"},
      {"", "returned nothing"},
      {HttpServerUnderTest::kSilence, "no reply in time"}};
  for (const auto& [reply, problem] : replies) {
    HttpServerUnderTest server(InTurn({reply}));
    FakeClock clock;
    ChatJudgeOptions options = OptionsFor(server);
    options.attempts = 3;
    if (reply == HttpServerUnderTest::kSilence) options.timeout = absl::Milliseconds(50);
    const auto judge = MakeJudge(options, clock);
    const Verdict verdict = AskOnce(*judge);
    EXPECT_EQ(verdict.state, Verdict::State::kFailed);
    EXPECT_THAT(verdict.problem, HasSubstr(problem));
    // Not by the server: what timed out may not have reached it.
    EXPECT_EQ(judge->ToJson()["requests"], 3) << problem;
  }
}

TEST(ChatJudge, DoesNotRepeatWhatCannotSucceed) {
  const std::vector<std::pair<std::string, std::string>> replies = {
      {HttpBytes(401, "no such key: secret-key"), "HTTP status 401 (the key is refused)"},
      {HttpBytes(400, ""), "HTTP status 400"},
      {HttpBytes(302, "", "Location: /v2\r\n"), "HTTP status 302"},
      {HttpBytes(429, "", "Retry-After: 86400\r\n"), "much later"},
      {HttpBytes(200, std::string((1 << 20) + 1, 'x')), "longer than"}};
  for (const auto& [reply, problem] : replies) {
    HttpServerUnderTest server(InTurn({reply}));
    FakeClock clock;
    ChatJudgeOptions options = OptionsFor(server);
    options.key = "secret-key";
    const auto judge = MakeJudge(options, clock);
    const Verdict verdict = AskOnce(*judge);
    EXPECT_EQ(verdict.state, Verdict::State::kFailed) << problem;
    EXPECT_THAT(verdict.problem, HasSubstr(problem));
    EXPECT_THAT(verdict.problem, Not(HasSubstr("secret-key")));
    EXPECT_THAT(judge->ToJson().dump(), Not(HasSubstr("secret-key")));
    EXPECT_EQ(server.requests().size(), 1u) << problem;
  }
}

TEST(ChatJudge, CountsRubbishAsUnparsable) {
  json bad = GoodReply();
  bad["helpful_a"] = 9;
  for (const std::string& reply :
       {HttpBytes(200, ""), HttpBytes(200, "<html>"), HttpBytes(200, "{\"choices\": []}"),
        HttpBytes(200, "{\"choices\": [{\"message\": {\"content\": null}}]}"), HttpBytes(200, "[]"),
        Completion("A is better."), Completion(bad.dump())}) {
    HttpServerUnderTest server(InTurn({reply}));
    FakeClock clock;
    const Verdict verdict = AskOnce(*MakeJudge(OptionsFor(server), clock));
    EXPECT_EQ(verdict.state, Verdict::State::kUnparsable) << reply;
    EXPECT_FALSE(verdict.more_helpful.has_value());
    EXPECT_EQ(server.requests().size(), 1u);
  }
}

TEST(ChatJudge, PaysForNoReplyTwice) {
  const TestFolder folder;
  HttpServerUnderTest server(
      InTurn({GoodCompletion(), Completion("rubbish"), HttpBytes(400, ""), GoodCompletion()}));
  FakeClock clock;
  ChatJudgeOptions options = OptionsFor(server);
  options.cache = folder.path() / "replies.jsonl";
  options.key = "secret-key";
  const std::vector<Comparison> comparisons = {AComparison("1"), AComparison("2"), AComparison("3")};
  using State = Verdict::State;
  {
    const std::vector<Verdict> first = MakeJudge(options, clock)->Compare(comparisons);
    EXPECT_EQ(first[0].state, State::kJudged);
    EXPECT_EQ(first[1].state, State::kUnparsable);
    EXPECT_EQ(first[2].state, State::kFailed);
  }
  const auto judge = MakeJudge(options, clock);
  const std::vector<Verdict> second = judge->Compare(comparisons);
  EXPECT_EQ(second[0].state, State::kJudged);
  EXPECT_EQ(second[0].reason, "A tells how, B declines.");
  EXPECT_EQ(second[1].state, State::kUnparsable);
  EXPECT_EQ(second[2].state, State::kJudged);
  EXPECT_EQ(server.requests().size(), 4u);
  EXPECT_EQ(judge->ToJson()["from_cache"], 2);
  EXPECT_THAT(*ReadFile(options.cache), Not(HasSubstr("secret-key")));
}

TEST(ChatJudge, WhateverChangesTheQuestionIsAskedAnew) {
  const TestFolder folder;
  HttpServerUnderTest server(InTurn({GoodCompletion()}));
  FakeClock clock;
  ChatJudgeOptions options = OptionsFor(server);
  options.cache = folder.path() / "replies.jsonl";
  const auto judge = MakeJudge(options, clock);
  const std::string image = *data::EncodePng({1, 1, {1, 2, 3}}), other = *data::EncodePng({1, 1, {3, 2, 1}});
  Comparison comparison = AComparison();
  AskOnce(*judge, comparison);
  comparison.image = &image;
  AskOnce(*judge, comparison);
  comparison.image = &other;
  AskOnce(*judge, comparison);
  std::swap(comparison.answers[0], comparison.answers[1]);
  AskOnce(*judge, comparison);
  options.model = "judge-2";
  AskOnce(*MakeJudge(options, clock), comparison);
  options.request = {{"temperature", 1}};
  AskOnce(*MakeJudge(options, clock), comparison);
  EXPECT_EQ(server.requests().size(), 6u);
  AskOnce(*MakeJudge(options, clock), comparison);
  EXPECT_EQ(server.requests().size(), 6u);
}

TEST(ChatJudge, StopsAskingAnEndpointThatNeverReplies) {
  HttpServerUnderTest server(InTurn({HttpBytes(401, "")}));
  FakeClock clock;
  const auto judge = MakeJudge(OptionsFor(server), clock);
  std::vector<Comparison> comparisons;
  for (int i = 0; i < kGiveUpAfter + 5; ++i) comparisons.push_back(AComparison(std::to_string(i)));
  const std::vector<Verdict> verdicts = judge->Compare(comparisons);
  EXPECT_EQ(server.requests().size(), static_cast<size_t>(kGiveUpAfter));
  EXPECT_THAT(verdicts.back().problem, HasSubstr("not asked, after 20 questions in a row"));
}

TEST(ChatJudge, APictureThatIsNoneIsNotSent) {
  HttpServerUnderTest server(InTurn({GoodCompletion()}));
  FakeClock clock;
  const auto judge = MakeJudge(OptionsFor(server), clock);
  const std::string rubbish = "not a picture", large(21 << 20, 'x');
  Comparison comparison = AComparison();
  comparison.image = &rubbish;
  EXPECT_THAT(AskOnce(*judge, comparison).problem, HasSubstr("neither PNG"));
  comparison.image = &large;
  EXPECT_THAT(AskOnce(*judge, comparison).problem, HasSubstr("over 20 MiB"));
  EXPECT_EQ(server.requests().size(), 0u);
}

TEST(ChatJudge, AsksSeveralAtATimeAndKeepsTheirOrder) {
  constexpr int kAtATime = 4;
  absl::Barrier barrier(kAtATime);
  // Every request waits for the others: one at a time would never end.
  HttpServerUnderTest server([&](const ServedRequest& request) {
    barrier.Block();
    json reply = GoodReply();
    reply["reason"] = json::parse(request.body)["messages"][1]["content"][0]["text"];
    return Completion(reply.dump());
  });
  FakeClock clock;
  ChatJudgeOptions options = OptionsFor(server);
  options.concurrency = kAtATime;
  std::vector<Comparison> comparisons;
  for (int i = 0; i < kAtATime; ++i) comparisons.push_back(AComparison(std::to_string(i)));
  const std::vector<Verdict> verdicts = MakeJudge(options, clock)->Compare(comparisons);
  for (int i = 0; i < kAtATime; ++i) {
    EXPECT_THAT(verdicts[i].reason, HasSubstr("What is it, " + std::to_string(i) + "?"));
  }
}

TEST(ChatJudge, KeepsToItsRate) {
  HttpServerUnderTest server(InTurn({GoodCompletion()}));
  FakeClock clock;
  ChatJudgeOptions options = OptionsFor(server);
  options.requests_per_minute = 30;
  const absl::Time start = clock.Now();
  MakeJudge(options, clock)->Compare({AComparison("1"), AComparison("2"), AComparison("3")});
  EXPECT_EQ(clock.Now() - start, absl::Seconds(4));
}

TEST(ChatJudge, RefusesOptionsThatCannotWork) {
  FakeClock clock;
  ChatJudgeOptions good;
  good.url = "http://127.0.0.1:1/v1";
  good.model = "m";
  const auto problem = [&](const std::function<void(ChatJudgeOptions&)>& change) {
    ChatJudgeOptions options = good;
    change(options);
    return std::string(ChatJudge::Make(options, clock).status().message());
  };
  EXPECT_EQ(problem([](ChatJudgeOptions&) {}), "");
  EXPECT_THAT(problem([](ChatJudgeOptions& o) { o.url = "127.0.0.1/v1"; }), HasSubstr("http://"));
  EXPECT_THAT(problem([](ChatJudgeOptions& o) { o.url = "https://h/v1?key=k"; }), HasSubstr("query"));
  EXPECT_THAT(problem([](ChatJudgeOptions& o) { o.model = ""; }), HasSubstr("model"));
  EXPECT_THAT(problem([](ChatJudgeOptions& o) { o.request = {{"messages", 1}}; }), HasSubstr("messages"));
  EXPECT_THAT(problem([](ChatJudgeOptions& o) { o.request = json::array(); }), HasSubstr("JSON object"));
  EXPECT_THAT(problem([](ChatJudgeOptions& o) { o.concurrency = 0; }), HasSubstr("0 questions at a time"));
  EXPECT_THAT(problem([](ChatJudgeOptions& o) { o.attempts = 0; }), HasSubstr("at least once"));
  const std::string key = problem([](ChatJudgeOptions& o) { o.key = "abc\r\nX: 1"; });
  EXPECT_THAT(key, AllOf(HasSubstr("the key"), Not(HasSubstr("abc"))));
}

}  // namespace
}  // namespace rein::evaluation
