// HTTP requests to the endpoint of a judge.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace rein::evaluation {

struct HttpRequest {
  std::string url;                   // http or https
  std::vector<std::string> headers;  // "Name: value"; never shown anywhere
  std::string body;
  absl::Duration timeout = absl::Seconds(120);  // of the whole exchange
  size_t max_reply_bytes = size_t{1} << 20;
};

struct HttpReply {
  int status = 0;
  std::string body;
  std::string retry_after;  // the header; empty: there is none
};

// Keeps its connection for the next request. One thread. Certificates are verified, redirects are not
// followed, and the usual proxy variables hold.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // A whole reply, whatever its status. Errors, without URL or headers in their messages: DEADLINE_EXCEEDED
  // (timeout), RESOURCE_EXHAUSTED (the reply is too long), INVALID_ARGUMENT (not a URL of http or https),
  // UNAVAILABLE (all else: nobody listens, no or half a reply, TLS).
  absl::StatusOr<HttpReply> Post(const HttpRequest& request);

 private:
  struct Freer {
    void operator()(void* curl) const;
  };
  const std::unique_ptr<void, Freer> curl_;
};

}  // namespace rein::evaluation
