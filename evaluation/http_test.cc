#include "evaluation/http.h"

#include "evaluation/http_server_under_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<HttpReply> PostTo(const std::string& bytes, HttpRequest request = {}) {
  HttpServerUnderTest server([&](const ServedRequest&) { return bytes; });
  request.url = server.url();
  return HttpClient().Post(request);
}

TEST(HttpClient, GivesStatusBodyAndRetryAfter) {
  HttpServerUnderTest server(
      [](const ServedRequest&) { return HttpBytes(429, "slow down", "RETRY-AFTER:  7 \r\n"); });
  HttpClient client;
  for (int i = 0; i < 2; ++i) {
    const auto reply = client.Post({.url = server.url(), .headers = {"X-One: 1"}, .body = "what was asked"});
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status, 429);
    EXPECT_EQ(reply->body, "slow down");
    EXPECT_EQ(reply->retry_after, "7");
  }
  const std::vector<ServedRequest> requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].body, "what was asked");
  EXPECT_THAT(requests[1].head, HasSubstr("POST /v1 HTTP/1.1\r\n"));
  EXPECT_THAT(requests[1].head, HasSubstr("X-One: 1\r\n"));
}

TEST(HttpClient, NoReplyAndHalfAReplyAreUnavailable) {
  EXPECT_EQ(PostTo("").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(PostTo("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(PostTo("\x16\x03 rubbish\r\n\r\n").status().code(), absl::StatusCode::kUnavailable);
}

TEST(HttpClient, SilenceEndsWithTheTimeout) {
  const auto reply = PostTo(HttpServerUnderTest::kSilence, {.timeout = absl::Milliseconds(50)});
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(HttpClient, LongRepliesAreNotTaken) {
  const auto reply = PostTo(HttpBytes(200, std::string(5000, 'x')), {.max_reply_bytes = 1000});
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(PostTo(HttpBytes(200, std::string(1000, 'x')), {.max_reply_bytes = 1000}).ok());
}

TEST(HttpClient, RedirectsAreNotFollowed) {
  const auto reply = PostTo(HttpBytes(302, "", "Location: http://127.0.0.1:1/\r\n"));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 302);
}

TEST(HttpClient, NobodyListensAndOtherProtocols) {
  std::string url;
  {
    url = HttpServerUnderTest([](const ServedRequest&) { return ""; }).url();
  }
  EXPECT_EQ(HttpClient().Post({.url = url}).status().code(), absl::StatusCode::kUnavailable);
  for (const char* other : {"file:///etc/passwd", "ftp://127.0.0.1/", ":", "http://"}) {
    EXPECT_EQ(HttpClient().Post({.url = other}).status().code(), absl::StatusCode::kInvalidArgument) << other;
  }
}

}  // namespace
}  // namespace rein::evaluation
