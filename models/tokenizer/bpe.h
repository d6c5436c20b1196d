// Byte-pair merges over a vocabulary of byte-level text.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"

namespace rein::models {

class Bpe {
 public:
  // The "model" object of tokenizer.json. Errors: INVALID_ARGUMENT (ids or merges that do not fit),
  // UNIMPLEMENTED (another kind of model or an option that is not supported).
  static absl::StatusOr<Bpe> Parse(const Fields& model);

  // Appends the ids of one pre-token in byte-level characters; characters outside the vocabulary give the
  // unknown token, or nothing when there is none. O(n log n).
  void Encode(const std::string& piece, std::vector<int32_t>& ids) const;

  // -1 when absent.
  int32_t IdOf(const std::string& token) const;
  // Tokens by id; ids without a token are empty.
  const std::vector<std::string>& tokens() const { return tokens_; }

 private:
  struct Merge {
    int32_t rank = 0;
    int32_t id = 0;
  };
  static uint64_t PairKey(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  absl::Status ParseVocabulary(const Fields& model);
  absl::Status ParseMerges(const Fields& model);
  absl::Status AddMerge(const Fields& model, const std::string& left, const std::string& right, int32_t rank);
  std::vector<int32_t> Characters(const std::string& piece) const;

  std::unordered_map<std::string, int32_t> ids_;
  std::vector<std::string> tokens_;
  std::unordered_map<uint64_t, Merge> merges_;
  int32_t unknown_ = -1;
  bool ignore_merges_ = false;
};

}  // namespace rein::models
