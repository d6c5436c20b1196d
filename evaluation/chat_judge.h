// A chat model behind an OpenAI-compatible endpoint as judge.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "evaluation/clock.h"
#include "evaluation/http.h"
#include "evaluation/judge.h"
#include "evaluation/reply_cache.h"
#include "evaluation/retry.h"

namespace rein::evaluation {

struct ChatJudgeOptions {
  std::string url;    // of the API, to which /chat/completions is added: https://api.openai.com/v1
  std::string model;  // as the endpoint calls it
  std::string key;    // sent as bearer token, shown and stored nowhere; empty: none is sent
  // Merged into each request (RFC 7396): other settings, or null for those that the endpoint does not know.
  nlohmann::json request = nlohmann::json::object();
  int concurrency = 4;             // requests at a time
  double requests_per_minute = 0;  // 0: no limit
  int attempts = 6;                // tries of a question
  absl::Duration timeout = absl::Seconds(120);
  std::filesystem::path cache;  // file of ReplyCache; empty: replies are kept in memory only
};

// After so many questions in a row without a reply the rest is not asked.
inline constexpr int kGiveUpAfter = 20;

// Asks each question once, by the protocols of protocol.h. 408, 429, 5xx, timeouts and broken connections
// are tried again (RetryDelay); other statuses are not. What the model said is cached by a digest of model,
// request, image and answers, so that the same question is never paid for twice, even where it cannot be
// parsed. A question without a reply fails with a reason and is asked again by the next evaluation.
class ChatJudge : public Judge {
 public:
  // `clock` outlives the judge. Errors: INVALID_ARGUMENT (an option: says which), those of ReplyCache.
  static absl::StatusOr<std::unique_ptr<ChatJudge>> Make(const ChatJudgeOptions& options, Clock& clock);

  std::vector<Verdict> Compare(absl::Span<const Comparison> batch) override;
  std::vector<Verdict> Assess(absl::Span<const Assessment> batch) override;
  bool looks_at_pictures() const override { return true; }
  nlohmann::json ToJson() const override;

 private:
  struct Protocol;
  // What the model is told of one question.
  struct Prompt {
    std::string user;
    const std::string* image;
  };

  ChatJudge(const ChatJudgeOptions& options, std::unique_ptr<ReplyCache> cache, Clock& clock);

  std::vector<Verdict> AskAll(const Protocol& protocol, const std::vector<Prompt>& prompts);
  Verdict Ask(const Protocol& protocol, const Prompt& prompt, HttpClient& client);
  // What the model said; where it said nothing, the status says why in words that can be counted.
  absl::StatusOr<std::string> Reply(const HttpRequest& request, HttpClient& client);
  absl::StatusOr<std::string> ReplyOnce(const HttpRequest& request, HttpClient& client,
                                        absl::Duration& retry_after, bool& retry);
  void Count(bool replied);

  const ChatJudgeOptions options_;
  const std::unique_ptr<ReplyCache> cache_;
  Clock& clock_;
  RateLimit limit_;
  std::atomic<int64_t> requests_ = 0, retries_ = 0, cached_ = 0;
  std::atomic<int> failures_in_a_row_ = 0;
  std::atomic<uint64_t> jitters_ = 0;
  std::string protocol_;  // version of the one that was used last
};

}  // namespace rein::evaluation
