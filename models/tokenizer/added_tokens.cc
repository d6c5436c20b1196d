#include "models/tokenizer/added_tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr size_t kMaxAddedTokens = 1 << 16;
constexpr size_t kMaxContentBytes = 1 << 12;
constexpr int64_t kMaxId = (1 << 20) - 1;

absl::StatusOr<AddedToken> ParseToken(const Fields& fields, const Normalizer& normalizer) {
  AddedToken token;
  REIN_ASSIGN_OR_RETURN(const int64_t id, fields.Int("id", -1, 0, kMaxId));
  if (id < 0) return fields.Error("id", "is missing");
  token.id = static_cast<int32_t>(id);
  REIN_ASSIGN_OR_RETURN(token.content, fields.String("content", ""));
  if (token.content.empty() || token.content.size() > kMaxContentBytes) {
    return fields.Error("content", absl::StrCat("is missing or not of 1 to ", kMaxContentBytes, " bytes"));
  }
  REIN_ASSIGN_OR_RETURN(token.special, fields.Bool("special", false));
  REIN_ASSIGN_OR_RETURN(token.normalized, fields.Bool("normalized", !token.special));
  REIN_ASSIGN_OR_RETURN(token.single_word, fields.Bool("single_word", false));
  REIN_ASSIGN_OR_RETURN(token.lstrip, fields.Bool("lstrip", false));
  REIN_ASSIGN_OR_RETURN(token.rstrip, fields.Bool("rstrip", false));
  token.normal = token.normalized ? normalizer.Apply(token.content) : token.content;
  return token;
}

// Where the white space that ends at `end` begins, not before `from`.
size_t SpaceBefore(absl::string_view text, size_t from, size_t end) {
  while (end > from && IsUnicodeSpace(DecodeChar(text, CharBefore(text, end)))) end = CharBefore(text, end);
  return end;
}

size_t SpaceAfter(absl::string_view text, size_t at) {
  while (at < text.size() && IsUnicodeSpace(DecodeChar(text, at))) at += CharBytes(text, at);
  return at;
}

bool IsInsideWord(absl::string_view text, size_t begin, size_t end) {
  return (begin > 0 && IsWordChar(DecodeChar(text, CharBefore(text, begin)))) ||
         (end < text.size() && IsWordChar(DecodeChar(text, end)));
}

}  // namespace

absl::StatusOr<AddedTokens> AddedTokens::Parse(const Fields& root, const Normalizer& normalizer) {
  AddedTokens added;
  const Json* list = root.Find("added_tokens");
  if (list == nullptr) return added;
  if (!list->is_array() || list->size() > kMaxAddedTokens) {
    return root.Error("added_tokens", absl::StrCat("is not a list of at most ", kMaxAddedTokens, " tokens"));
  }
  for (const Json& item : *list) {
    const std::string where = absl::StrCat(root.where(), ": added_tokens[", added.tokens_.size(), "]");
    if (!item.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, " is not an object"));
    REIN_ASSIGN_OR_RETURN(AddedToken token, ParseToken(Fields(item, where), normalizer));
    REIN_RETURN_IF_ERROR(added.Add(std::move(token), where));
  }
  for (Matcher* matcher : {&added.raw_, &added.normal_}) {
    for (std::vector<size_t>& lengths : matcher->lengths) {
      std::sort(lengths.begin(), lengths.end(), std::greater<>());
      lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
    }
  }
  return added;
}

absl::Status AddedTokens::Add(AddedToken token, const std::string& where) {
  const size_t index = tokens_.size();
  if (!by_id_.emplace(token.id, index).second) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": id ", token.id, " is there twice"));
  }
  if (!by_content_.emplace(token.content, index).second) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": \"", token.content, "\" is there twice"));
  }
  if (token.special) special_contents_.insert(token.content);
  Matcher& matcher = token.normalized ? normal_ : raw_;
  if (!token.normal.empty() && matcher.tokens.emplace(token.normal, index).second) {
    matcher.lengths[static_cast<uint8_t>(token.normal[0])].push_back(token.normal.size());
  }
  tokens_.push_back(std::move(token));
  return absl::OkStatus();
}

const AddedToken* AddedTokens::Match(const Matcher& matcher, absl::string_view rest) const {
  for (const size_t length : matcher.lengths[static_cast<uint8_t>(rest[0])]) {
    if (length > rest.size()) continue;
    const auto found = matcher.tokens.find(rest.substr(0, length));
    if (found != matcher.tokens.end()) return &tokens_[found->second];
  }
  return nullptr;
}

void AddedTokens::Split(absl::string_view whole, bool normalized,
                        absl::FunctionRef<void(absl::string_view piece, size_t at)> text,
                        absl::FunctionRef<void(const AddedToken& token)> found) const {
  const Matcher& matcher = normalized ? normal_ : raw_;
  size_t done = 0;
  for (size_t at = 0; at < whole.size() && !matcher.tokens.empty();) {
    const AddedToken* token = Match(matcher, whole.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    // The search goes on right behind the token, even where it takes white space along or does not count.
    const size_t begin = at;
    at += token->normal.size();
    if (token->single_word && IsInsideWord(whole, begin, at)) continue;
    const size_t from = token->lstrip ? SpaceBefore(whole, std::min(done, begin), begin) : begin;
    if (from > done) text(whole.substr(done, from - done), done);
    found(*token);
    done = std::max(done, token->rstrip ? SpaceAfter(whole, at) : at);
  }
  if (done < whole.size()) text(whole.substr(done), done);
}

const AddedToken* AddedTokens::Find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::Find(const std::string& content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

}  // namespace rein::models
