// Byte-pair merges over a vocabulary, byte-level or with SentencePiece's fall-back to bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"
#include "models/tokenizer/tokenizer_file.h"

namespace rein::models {

// Thread-safe after Parse; a Workspace serves one caller at a time.
class Bpe {
 public:
  // The "model" object of tokenizer.json. Errors: INVALID_ARGUMENT (ids or merges that do not fit),
  // UNIMPLEMENTED (another kind of model or an option that is not supported).
  static absl::StatusOr<Bpe> Parse(const Fields& model, std::vector<VocabularyEntry> vocabulary);

  // A piece being merged: a doubly linked list in an array.
  struct Symbol {
    int32_t id = -1;  // -1: merged away
    int32_t previous = -1, next = -1;
  };
  struct Candidate {
    uint64_t order;  // rank, then place of the left symbol
    int32_t merged;
  };
  // Buffers, and the words that were encoded lately.
  struct Workspace {
    absl::flat_hash_map<std::string, absl::InlinedVector<int32_t, 4>> words;
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;  // a heap
  };

  // Appends the ids of one piece. `bytes`: the piece is text whose bytes stand for byte-level characters.
  // Characters outside the vocabulary give bytes, the unknown token, or nothing when there is none. O(n log
  // n).
  void Encode(absl::string_view piece, bool bytes, Workspace& workspace, std::vector<int32_t>& ids) const;

  // -1 when absent.
  int32_t IdOf(absl::string_view token) const;
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
  absl::Status ParseOptions(const Fields& model);
  absl::Status AddVocabulary(const Fields& model, std::vector<VocabularyEntry> vocabulary);
  absl::Status ParseMerges(const Fields& model);
  absl::Status AddMerge(const Fields& model, absl::string_view left, absl::string_view right, int32_t rank);
  void IndexCharacters();

  int32_t IdOfCharacter(absl::string_view character, bool first, bool last) const;
  bool AddBytes(absl::string_view character, bool first, bool last, std::vector<Symbol>& symbols) const;
  void EncodeAnew(absl::string_view text, Workspace& workspace, std::vector<int32_t>& ids) const;
  void FillSymbols(absl::string_view text, std::vector<Symbol>& symbols) const;
  void Propose(int32_t left, Workspace& workspace) const;
  void MergeAll(Workspace& workspace) const;

  absl::flat_hash_map<std::string, int32_t> ids_;
  std::vector<std::string> tokens_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
  std::string prefix_, suffix_;  // of characters inside a word, of the last one
  int32_t unknown_ = -1;
  bool ignore_merges_ = false, byte_fallback_ = false, fuse_unknown_ = false;
  std::array<int32_t, 0x180> small_ids_;  // of the characters below U+0180, among them the byte-level ones
  std::array<int32_t, 256> byte_ids_;     // of "<0x00>" and so on
};

}  // namespace rein::models
