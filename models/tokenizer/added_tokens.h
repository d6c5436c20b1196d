// Tokens that are found in text before anything else is cut.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"
#include "models/tokenizer/normalizer.h"

namespace rein::models {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  std::string normal;  // what is looked for and decoded: the content, normalized if the token is
  bool special = false;
  bool normalized = false;   // looked for in normalized text instead of raw text
  bool single_word = false;  // not next to a letter or digit
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;
};

// Thread-safe after Parse.
class AddedTokens {
 public:
  // The "added_tokens" list of tokenizer.json; may be missing. Errors: INVALID_ARGUMENT.
  static absl::StatusOr<AddedTokens> Parse(const Fields& root, const Normalizer& normalizer);

  // Calls `text` with each piece between tokens, none empty, and its place, and `found` with each token, in
  // order. Cuts out the tokens with the given flag: the leftmost first, of those the longest.
  void Split(absl::string_view whole, bool normalized,
             absl::FunctionRef<void(absl::string_view piece, size_t at)> text,
             absl::FunctionRef<void(const AddedToken& token)> found) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  // nullptr when no added token has the id, or the content.
  const AddedToken* Find(int32_t id) const;
  const AddedToken* Find(const std::string& content) const;
  // Whether decoding without special tokens leaves it out. Tokenizers ask for the text they would decode, so
  // a special token that normalization changes stays.
  bool IsSkipped(const AddedToken& token) const { return special_contents_.contains(token.normal); }

 private:
  // Tokens by what is looked for.
  struct Matcher {
    absl::flat_hash_map<std::string, size_t> tokens;
    // Lengths of the tokens that begin with a byte, longest first.
    std::array<std::vector<size_t>, 256> lengths;
  };
  absl::Status Add(AddedToken token, const std::string& where);
  const AddedToken* Match(const Matcher& matcher, absl::string_view rest) const;

  std::vector<AddedToken> tokens_;
  absl::flat_hash_map<int32_t, size_t> by_id_;
  absl::flat_hash_map<std::string, size_t> by_content_;
  absl::flat_hash_set<std::string> special_contents_;
  Matcher raw_, normal_;
};

}  // namespace rein::models
