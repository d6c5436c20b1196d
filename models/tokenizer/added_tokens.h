// Tokens that are found in text before anything else is cut.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"

namespace rein::models {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  bool normalized = false;  // looked for in normalised text instead of raw text
  bool lstrip = false;      // takes the white space before it along
  bool rstrip = false;
};

class AddedTokens {
 public:
  // The "added_tokens" list of tokenizer.json; may be missing. Errors: INVALID_ARGUMENT, UNIMPLEMENTED
  // (single_word).
  static absl::StatusOr<AddedTokens> Parse(const Fields& root);

  // A piece of text, or the token found there.
  struct Piece {
    absl::string_view text;
    const AddedToken* token = nullptr;
  };
  // Cuts out the tokens with the given flag; the leftmost first, of those the longest.
  std::vector<Piece> Split(absl::string_view text, bool normalized) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  // nullptr when no added token has the id.
  const AddedToken* Find(int32_t id) const;
  const AddedToken* Find(const std::string& content) const;

 private:
  const AddedToken* Match(absl::string_view rest, bool normalized) const;

  std::vector<AddedToken> tokens_;
  std::map<int32_t, size_t> by_id_;
  // Indices of the tokens that begin with a byte, longest first.
  std::vector<std::vector<size_t>> by_first_byte_ = std::vector<std::vector<size_t>>(256);
};

}  // namespace rein::models
