#include "evaluation/chat_judge.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/hash.h"
#include "base/status.h"
#include "data/image_header.h"
#include "evaluation/protocol.h"

namespace rein::evaluation {
namespace {

using nlohmann::json;

constexpr size_t kMaxImageBytes = size_t{20} << 20;
constexpr int kMaxReplyTokens = 1024;
// The system prompt alone has 2 kB; a reply has no reason to be longer than this.
constexpr size_t kMaxReplyBytes = size_t{1} << 20;

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

absl::Status CheckOptions(const ChatJudgeOptions& options) {
  if (!absl::StartsWith(options.url, "http://") && !absl::StartsWith(options.url, "https://"))
    return absl::InvalidArgumentError(
        absl::StrCat("the URL of the judge \"", options.url, "\" begins with neither http:// nor https://"));
  if (options.url.find_first_of("?#@") != std::string::npos)
    return absl::InvalidArgumentError(
        "the URL of the judge has a query or a password, which reports would show");
  if (options.model.empty()) return absl::InvalidArgumentError("the judge needs the name of a model");
  for (const char* key : {"messages", "model", "stream"}) {
    if (!options.request.is_object() || options.request.contains(key))
      return absl::InvalidArgumentError(
          "what is merged into requests must be a JSON object without messages, model and stream");
  }
  const auto is_visible = [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); };
  if (!std::all_of(options.key.begin(), options.key.end(), is_visible))
    return absl::InvalidArgumentError(
        "the key of the judge has a blank, a line break or another byte that no key has");
  if (options.concurrency < 1 || options.concurrency > 256 || options.attempts < 1)
    return absl::InvalidArgumentError(absl::StrCat("the judge cannot be asked ", options.concurrency,
                                                   " questions at a time (1 to 256) or ", options.attempts,
                                                   " times (at least once)"));
  return absl::OkStatus();
}

// Everything but the picture, which is large: its digest stands for it in the cache.
json RequestBody(const ChatJudgeOptions& options, const std::string& system_prompt,
                 const std::string& user_prompt) {
  const json text = {{"type", "text"}, {"text", user_prompt}};
  const json system = {{"role", "system"}, {"content", system_prompt}},
             user = {{"role", "user"}, {"content", json::array({text})}};
  json body = {{"model", options.model},
               {"temperature", 0},
               {"max_tokens", kMaxReplyTokens},
               {"messages", json::array({system, user})}};
  body.merge_patch(options.request);
  return body;
}

std::string CacheKey(const std::string& version, const json& body, const std::string* image) {
  return Sha256Hex(Dump(json::array({version, body, image == nullptr ? "" : Sha256Hex(*image)})));
}

// In front of the text.
void AddImage(const std::string& media_type, const std::string& image, json& body) {
  const json part = {
      {"type", "image_url"},
      {"image_url", {{"url", absl::StrCat("data:", media_type, ";base64,", absl::Base64Escape(image))}}}};
  json& content = body["messages"][1]["content"];
  content.insert(content.begin(), part);
}

// The text of the first choice of a chat completion.
absl::StatusOr<std::string> TextOfCompletion(const std::string& body) {
  const json completion = json::parse(body, nullptr, /*allow_exceptions=*/false);
  const json::json_pointer at("/choices/0/message/content");
  const bool has_text = completion.is_object() && completion.contains(at) && completion.at(at).is_string();
  if (!has_text) return absl::InvalidArgumentError("reply is not a chat completion with text");
  return completion.at(at).get<std::string>();
}

// Without what the server says, which may repeat the key.
std::string StatusText(int status) {
  const char* hint = status == 401   ? " (the key is refused)"
                     : status == 404 ? " (no such URL or model)"
                     : status == 429 ? " (too many requests)"
                                     : "";
  return absl::StrCat("HTTP status ", status, hint);
}

bool IsWorthRetrying(int status) { return status == 408 || status == 429 || status >= 500; }

}  // namespace

struct ChatJudge::Protocol {
  std::string version, system;
  Verdict (*parse)(absl::string_view reply);
};

absl::StatusOr<std::unique_ptr<ChatJudge>> ChatJudge::Make(const ChatJudgeOptions& options, Clock& clock) {
  REIN_RETURN_IF_ERROR(CheckOptions(options));
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<ReplyCache> cache, ReplyCache::Open(options.cache));
  return std::unique_ptr<ChatJudge>(new ChatJudge(options, std::move(cache), clock));
}

ChatJudge::ChatJudge(const ChatJudgeOptions& options, std::unique_ptr<ReplyCache> cache, Clock& clock)
    : options_(options),
      cache_(std::move(cache)),
      clock_(clock),
      limit_(options.requests_per_minute, clock) {}

std::vector<Verdict> ChatJudge::Compare(absl::Span<const Comparison> batch) {
  std::vector<Prompt> prompts;
  for (const Comparison& comparison : batch) prompts.push_back({UserPrompt(comparison), comparison.image});
  return AskAll({kProtocolVersion, SystemPrompt(), ParseReply}, prompts);
}

std::vector<Verdict> ChatJudge::Assess(absl::Span<const Assessment> batch) {
  std::vector<Prompt> prompts;
  for (const Assessment& assessment : batch)
    prompts.push_back({SingleUserPrompt(assessment), assessment.image});
  return AskAll({kSingleProtocolVersion, SingleSystemPrompt(), ParseSingleReply}, prompts);
}

std::vector<Verdict> ChatJudge::AskAll(const Protocol& protocol, const std::vector<Prompt>& prompts) {
  protocol_ = protocol.version;
  std::vector<Verdict> verdicts(prompts.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    HttpClient client;
    for (size_t i = next++; i < prompts.size(); i = next++) verdicts[i] = Ask(protocol, prompts[i], client);
  };
  std::vector<std::thread> workers;
  const size_t count = std::min(prompts.size(), static_cast<size_t>(options_.concurrency));
  for (size_t i = 0; i < count; ++i) workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();
  return verdicts;
}

Verdict ChatJudge::Ask(const Protocol& protocol, const Prompt& prompt, HttpClient& client) {
  json body = RequestBody(options_, protocol.system, prompt.user);
  const std::string key = CacheKey(protocol.version, body, prompt.image);
  if (const std::optional<std::string> reply = cache_->Find(key)) {
    ++cached_;
    return protocol.parse(*reply);
  }
  if (failures_in_a_row_ >= kGiveUpAfter)
    return Failed(absl::StrCat("not asked, after ", kGiveUpAfter, " questions in a row without a reply"));
  if (prompt.image != nullptr) {
    if (prompt.image->size() > kMaxImageBytes) return Failed("picture over 20 MiB");
    const absl::StatusOr<data::ImageHeader> header = data::ReadImageHeader(*prompt.image);
    if (!header.ok()) return Failed("picture is neither PNG, JPEG nor WebP, or its header is broken");
    AddImage(header->media_type, *prompt.image, body);
  }
  HttpRequest request{.url = absl::StrCat(absl::StripSuffix(options_.url, "/"), "/chat/completions"),
                      .headers = {"Content-Type: application/json"},
                      .body = Dump(body),
                      .timeout = options_.timeout,
                      .max_reply_bytes = kMaxReplyBytes};
  if (!options_.key.empty()) request.headers.push_back(absl::StrCat("Authorization: Bearer ", options_.key));
  const absl::StatusOr<std::string> reply = Reply(request, client);
  Count(reply.ok() || absl::IsInvalidArgument(reply.status()));
  if (absl::IsInvalidArgument(reply.status())) return Unparsable(std::string(reply.status().message()));
  if (!reply.ok()) return Failed(std::string(reply.status().message()));
  if (const absl::Status kept = cache_->Add(key, *reply); !kept.ok())
    return Failed(absl::StrCat("reply cannot be stored: ", kept.message()));
  return protocol.parse(*reply);
}

void ChatJudge::Count(bool replied) {
  if (replied)
    failures_in_a_row_ = 0;
  else
    ++failures_in_a_row_;
}

absl::StatusOr<std::string> ChatJudge::Reply(const HttpRequest& request, HttpClient& client) {
  absl::StatusOr<std::string> reply;
  for (int attempt = 1;; ++attempt) {
    absl::Duration retry_after;
    bool retry = false;
    reply = ReplyOnce(request, client, retry_after, retry);
    if (!retry || attempt == options_.attempts) return reply;
    if (retry_after > kLongestRetryAfter)
      return absl::UnavailableError(absl::StrCat(reply.status().message(), ", to be tried again much later"));
    ++retries_;
    // Seeded by the time of the start, or evaluations that start together would come back together.
    const uint64_t bits = RandomBits(static_cast<uint64_t>(absl::ToUnixNanos(clock_.Now())), jitters_++);
    clock_.Sleep(RetryDelay(attempt, UniformFromBits(bits), retry_after));
  }
}

absl::StatusOr<std::string> ChatJudge::ReplyOnce(const HttpRequest& request, HttpClient& client,
                                                 absl::Duration& retry_after, bool& retry) {
  limit_.Wait();
  ++requests_;
  const absl::StatusOr<HttpReply> reply = client.Post(request);
  if (!reply.ok()) {
    retry = absl::IsDeadlineExceeded(reply.status()) || absl::IsUnavailable(reply.status());
    return absl::UnavailableError(reply.status().message());
  }
  retry = IsWorthRetrying(reply->status);
  retry_after = ParseRetryAfter(reply->retry_after, clock_.Now()).value_or(absl::ZeroDuration());
  if (reply->status != 200) return absl::UnavailableError(StatusText(reply->status));
  return TextOfCompletion(reply->body);
}

json ChatJudge::ToJson() const {
  return {{"kind", "openai"},           {"url", options_.url},
          {"model", options_.model},    {"request", options_.request},
          {"protocol", protocol_},      {"requests", requests_.load()},
          {"retries", retries_.load()}, {"from_cache", cached_.load()}};
}

}  // namespace rein::evaluation
