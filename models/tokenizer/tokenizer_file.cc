#include "models/tokenizer/tokenizer_file.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace rein::models {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;
constexpr size_t kMaxDepth = 32;
// An object of our JSON type finds a key by looking at all of them.
constexpr int kMaxKeys = 4096;

// Sees every part as it is parsed; false leaves it out of the result.
class Watcher {
 public:
  explicit Watcher(std::vector<VocabularyEntry>& vocabulary) : vocabulary_(vocabulary) {}

  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth < 0 || static_cast<size_t>(depth) >= kMaxDepth) {
      error_ = absl::StrCat("nested more than ", kMaxDepth, " levels deep");
      return false;
    }
    const auto level = static_cast<size_t>(depth);
    if (event == Json::parse_event_t::key) return OnKey(level, parsed.get_ref<const std::string&>());
    if (event == Json::parse_event_t::object_start && level + 1 < kMaxDepth) keys_[level + 1] = 0;
    if (event == Json::parse_event_t::value && InVocabulary(level) && parsed.is_number_unsigned()) {
      vocabulary_.back().id = parsed.get<uint64_t>() <= INT32_MAX ? parsed.get<int64_t>() : -1;
    }
    return error_.empty();
  }

  const std::string& error() const { return error_; }

 private:
  // A vocabulary of another form has no keys at this level.
  bool InVocabulary(size_t level) const {
    return level == 3 && path_[1] == "model" && path_[2] == "vocab" && !vocabulary_.empty();
  }

  bool OnKey(size_t level, const std::string& key) {
    if (level == 3 && path_[1] == "model" && path_[2] == "vocab") {
      vocabulary_.push_back({key, -1});
      return false;
    }
    if (level < path_.size()) path_[level] = key;
    if (++keys_[level] > kMaxKeys) error_ = absl::StrCat("an object has more than ", kMaxKeys, " keys");
    return error_.empty();
  }

  std::vector<VocabularyEntry>& vocabulary_;
  std::array<std::string, 3> path_;  // keys at levels 1 and 2
  std::array<int, kMaxDepth> keys_ = {};
  std::string error_;
};

}  // namespace

absl::StatusOr<TokenizerFile> ParseTokenizerFile(const std::string& text, const std::string& where) {
  if (text.size() > kMaxFileBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(where, ": ", text.size(), " bytes, at most ", kMaxFileBytes, " are read"));
  }
  TokenizerFile file;
  Watcher watcher(file.vocabulary);
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    return watcher(depth, event, parsed);
  };
  file.json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (!watcher.error().empty()) return absl::InvalidArgumentError(absl::StrCat(where, ": ", watcher.error()));
  if (!file.json.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, ": not a JSON object"));
  return file;
}

}  // namespace rein::models
