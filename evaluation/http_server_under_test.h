// Helps tests: an HTTP server of this process that replies whatever a test wants.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace rein::evaluation {

struct ServedRequest {
  std::string head, body;
};

// Bytes of a reply with a body; the connection ends after it.
inline std::string HttpBytes(int status, const std::string& body, const std::string& more_headers = "") {
  return absl::StrCat("HTTP/1.1 ", status, " Status\r\nContent-Length: ", body.size(),
                      "\r\nConnection: close\r\n", more_headers, "\r\n", body);
}

class HttpServerUnderTest {
 public:
  // Bytes to send before the connection is closed. Called from several threads.
  using ReplyFn = std::function<std::string(const ServedRequest& request)>;
  // Instead of bytes: says nothing until the client goes.
  static constexpr char kSilence[] = "(silence)";

  explicit HttpServerUnderTest(ReplyFn reply) : reply_(std::move(reply)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 64) != 0)
      return;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~HttpServerUnderTest() {
    shutdown(listener_, SHUT_RDWR);
    if (acceptor_.joinable()) acceptor_.join();
    for (std::thread& connection : connections_) connection.join();
    close(listener_);
  }
  HttpServerUnderTest(const HttpServerUnderTest&) = delete;

  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/v1"); }
  std::vector<ServedRequest> requests() {
    const absl::MutexLock lock(&mutex_);
    return requests_;
  }

 private:
  void Accept() {
    while (true) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      connections_.emplace_back([this, connection] { Serve(connection); });
    }
  }

  static bool ReadUntil(int connection, std::string& text, const std::function<bool()>& is_enough) {
    char bytes[65536];
    while (!is_enough()) {
      const ssize_t count = recv(connection, bytes, sizeof(bytes), 0);
      if (count <= 0) return false;
      text.append(bytes, static_cast<size_t>(count));
    }
    return true;
  }

  static size_t BodyLength(const std::string& head) {
    const size_t at = head.find("Content-Length: ");
    size_t length = 0;
    if (at == std::string::npos) return 0;
    const size_t begin = at + 16;
    return absl::SimpleAtoi(head.substr(begin, head.find("\r\n", begin) - begin), &length) ? length : 0;
  }

  void Serve(int connection) {
    std::string text;
    size_t end = std::string::npos;
    const bool has_head =
        ReadUntil(connection, text, [&] { return (end = text.find("\r\n\r\n")) != std::string::npos; });
    if (has_head && ReadUntil(connection, text,
                              [&] { return text.size() >= end + 4 + BodyLength(text.substr(0, end + 2)); }))
      Answer(connection, {text.substr(0, end + 2), text.substr(end + 4)});
    close(connection);
  }

  void Answer(int connection, const ServedRequest& request) {
    {
      const absl::MutexLock lock(&mutex_);
      requests_.push_back(request);
    }
    const std::string bytes = reply_(request);
    std::string ignored;
    if (bytes == kSilence) {
      ReadUntil(connection, ignored, [] { return false; });
      return;
    }
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t count = send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<size_t>(count);
    }
  }

  const ReplyFn reply_;
  int listener_ = -1;
  int port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> connections_;  // of the acceptor until it ends
  absl::Mutex mutex_;
  std::vector<ServedRequest> requests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::evaluation
