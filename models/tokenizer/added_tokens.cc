#include "models/tokenizer/added_tokens.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr size_t kMaxAddedTokens = 1 << 16;

absl::StatusOr<AddedToken> ParseToken(const Fields& fields) {
  AddedToken token;
  REIN_ASSIGN_OR_RETURN(const int64_t id, fields.Int("id", -1, 0, (1 << 22) - 1));
  if (id < 0) return fields.Error("id", "is missing");
  token.id = static_cast<int32_t>(id);
  REIN_ASSIGN_OR_RETURN(token.content, fields.String("content", ""));
  if (token.content.empty()) return fields.Error("content", "is missing or empty");
  REIN_ASSIGN_OR_RETURN(token.special, fields.Bool("special", false));
  REIN_ASSIGN_OR_RETURN(token.normalized, fields.Bool("normalized", !token.special));
  REIN_ASSIGN_OR_RETURN(token.lstrip, fields.Bool("lstrip", false));
  REIN_ASSIGN_OR_RETURN(token.rstrip, fields.Bool("rstrip", false));
  REIN_ASSIGN_OR_RETURN(const bool single_word, fields.Bool("single_word", false));
  if (single_word) return fields.Unsupported("single_word", "true", "false");
  return token;
}

// Where the white space that ends at `end` begins, not before `from`.
size_t SpaceBefore(absl::string_view text, size_t from, size_t end) {
  while (end > from) {
    size_t start = end - 1;
    while (start > from && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) --start;
    if (!IsUnicodeSpace(DecodeChar(text, start))) break;
    end = start;
  }
  return end;
}

size_t SpaceAfter(absl::string_view text, size_t at) {
  while (at < text.size() && IsUnicodeSpace(DecodeChar(text, at))) at += CharBytes(text, at);
  return at;
}

}  // namespace

absl::StatusOr<AddedTokens> AddedTokens::Parse(const Fields& root) {
  AddedTokens added;
  const Json* list = root.Find("added_tokens");
  if (list == nullptr) return added;
  if (!list->is_array() || list->size() > kMaxAddedTokens) {
    return root.Error("added_tokens", absl::StrCat("is not a list of at most ", kMaxAddedTokens, " tokens"));
  }
  for (const Json& item : *list) {
    const std::string where = absl::StrCat(root.where(), ": added_tokens[", added.tokens_.size(), "]");
    if (!item.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, " is not an object"));
    REIN_ASSIGN_OR_RETURN(AddedToken token, ParseToken(Fields(item, where)));
    if (!added.by_id_.emplace(token.id, added.tokens_.size()).second) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": id ", token.id, " is there twice"));
    }
    added.by_first_byte_[static_cast<uint8_t>(token.content[0])].push_back(added.tokens_.size());
    added.tokens_.push_back(std::move(token));
  }
  for (auto& indices : added.by_first_byte_) {
    std::stable_sort(indices.begin(), indices.end(), [&](size_t a, size_t b) {
      return added.tokens_[a].content.size() > added.tokens_[b].content.size();
    });
  }
  return added;
}

const AddedToken* AddedTokens::Match(absl::string_view rest, bool normalized) const {
  for (size_t index : by_first_byte_[static_cast<uint8_t>(rest[0])]) {
    const AddedToken& token = tokens_[index];
    if (token.normalized == normalized && absl::StartsWith(rest, token.content)) return &token;
  }
  return nullptr;
}

std::vector<AddedTokens::Piece> AddedTokens::Split(absl::string_view text, bool normalized) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const AddedToken* token = Match(text.substr(i), normalized);
    if (token == nullptr) {
      ++i;
      continue;
    }
    const size_t begin = token->lstrip ? SpaceBefore(text, done, i) : i;
    size_t end = i + token->content.size();
    if (token->rstrip) end = SpaceAfter(text, end);
    if (begin > done) pieces.push_back({text.substr(done, begin - done), nullptr});
    pieces.push_back({text.substr(begin, end - begin), token});
    done = i = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done), nullptr});
  return pieces;
}

const AddedToken* AddedTokens::Find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::Find(const std::string& content) const {
  for (const AddedToken& token : tokens_) {
    if (token.content == content) return &token;
  }
  return nullptr;
}

}  // namespace rein::models
