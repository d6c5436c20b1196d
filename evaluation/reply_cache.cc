#include "evaluation/reply_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/append_file.h"
#include "base/file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace rein::evaluation {

using nlohmann::json;

absl::StatusOr<std::unique_ptr<ReplyCache>> ReplyCache::Open(const std::filesystem::path& file) {
  std::unique_ptr<ReplyCache> cache(new ReplyCache(file));
  if (!file.empty()) REIN_RETURN_IF_ERROR(cache->Load());
  return cache;
}

absl::Status ReplyCache::Load() {
  const absl::StatusOr<std::string> text = ReadFile(file_);
  if (absl::IsNotFound(text.status())) return AppendToFile(file_, "");
  REIN_RETURN_IF_ERROR(text.status());
  const absl::MutexLock lock(&mutex_);
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const json entry = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object()) continue;
    const auto key = entry.find("key"), reply = entry.find("reply");
    if (key == entry.end() || reply == entry.end() || !key->is_string() || !reply->is_string()) continue;
    replies_[key->get<std::string>()] = reply->get<std::string>();
  }
  // What is added next must not continue a line that a crash cut off.
  return text->empty() || text->back() == '\n' ? absl::OkStatus() : AppendToFile(file_, "\n");
}

std::optional<std::string> ReplyCache::Find(const std::string& key) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = replies_.find(key);
  return found == replies_.end() ? std::nullopt : std::optional<std::string>(found->second);
}

absl::Status ReplyCache::Add(const std::string& key, const std::string& reply) {
  const json entry = {{"key", key}, {"reply", reply}};
  const absl::MutexLock lock(&mutex_);
  replies_[key] = reply;
  if (file_.empty()) return absl::OkStatus();
  return AppendToFile(file_, absl::StrCat(entry.dump(-1, ' ', false, json::error_handler_t::replace), "\n"));
}

}  // namespace rein::evaluation
