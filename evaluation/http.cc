#include "evaluation/http.h"

#include <curl/curl.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace rein::evaluation {
namespace {

constexpr absl::string_view kRetryAfter = "retry-after:";

void* NewCurl() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  return ready == CURLE_OK ? curl_easy_init() : nullptr;
}

struct Reception {
  HttpReply reply;
  size_t max_bytes = 0;
  bool is_too_long = false;
};

size_t TakeBody(char* bytes, size_t size, size_t count, void* to) {
  auto& reception = *static_cast<Reception*>(to);
  reception.is_too_long = reception.reply.body.size() + size * count > reception.max_bytes;
  if (reception.is_too_long) return 0;  // ends the transfer
  reception.reply.body.append(bytes, size * count);
  return size * count;
}

size_t TakeHeader(char* bytes, size_t size, size_t count, void* to) {
  const absl::string_view line(bytes, size * count);
  if (absl::StartsWithIgnoreCase(line, kRetryAfter)) {
    static_cast<Reception*>(to)->reply.retry_after =
        std::string(absl::StripAsciiWhitespace(line.substr(kRetryAfter.size())));
  }
  return size * count;
}

absl::Status StatusOf(CURLcode code, const Reception& reception) {
  if (code == CURLE_OK) return absl::OkStatus();
  if (reception.is_too_long)
    return absl::ResourceExhaustedError(
        absl::StrCat("the reply is longer than ", reception.max_bytes, " bytes"));
  const std::string why = curl_easy_strerror(code);
  if (code == CURLE_OPERATION_TIMEDOUT) return absl::DeadlineExceededError("no reply in time");
  if (code == CURLE_URL_MALFORMAT) return absl::InvalidArgumentError(why);
  return absl::UnavailableError(why);
}

void SetRequest(CURL* curl, const HttpRequest& request, const curl_slist* headers, Reception& reception) {
  curl_easy_reset(curl);  // keeps the connection
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  const int64_t timeout_ms = std::max<int64_t>(1, absl::ToInt64Milliseconds(request.timeout));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, TakeBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reception);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, TakeHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reception);
}

}  // namespace

void HttpClient::Freer::operator()(void* curl) const { curl_easy_cleanup(curl); }

HttpClient::HttpClient() : curl_(NewCurl()) {}
HttpClient::~HttpClient() = default;

absl::StatusOr<HttpReply> HttpClient::Post(const HttpRequest& request) {
  if (!absl::StartsWith(request.url, "http://") && !absl::StartsWith(request.url, "https://"))
    return absl::InvalidArgumentError("the URL begins with neither http:// nor https://");
  if (curl_ == nullptr) return absl::UnavailableError("libcurl cannot be used");
  curl_slist* headers = curl_slist_append(nullptr, "Expect:");  // no pause before the body
  for (const std::string& header : request.headers) headers = curl_slist_append(headers, header.c_str());
  Reception reception;
  reception.max_bytes = request.max_reply_bytes;
  SetRequest(curl_.get(), request, headers, reception);
  const CURLcode code = curl_easy_perform(curl_.get());
  curl_slist_free_all(headers);
  long status = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
  if (absl::Status failed = StatusOf(code, reception); !failed.ok()) return failed;
  reception.reply.status = static_cast<int>(status);
  return std::move(reception.reply);
}

}  // namespace rein::evaluation
