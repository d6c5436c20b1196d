// Cuts text into the pieces that the model encodes one by one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"

namespace rein::models {

// Thread-safe after Parse.
class PreTokenizer {
 public:
  // The "pre_tokenizer" of tokenizer.json; may be missing: ByteLevel, Split, Digits, Metaspace, Whitespace,
  // WhitespaceSplit, Punctuation, Sequence. Errors: INVALID_ARGUMENT, UNIMPLEMENTED (another kind).
  static absl::StatusOr<PreTokenizer> Parse(const Fields& root);

  // Calls `sink` with every piece of valid UTF-8, in order, none empty; a piece is valid during the call
  // only. `first`: the text is the start of what the user gave.
  using Sink = absl::FunctionRef<void(absl::string_view piece)>;
  void Cut(absl::string_view text, bool first, Sink sink) const { CutFrom(0, text, first, sink); }

  // Whether the pieces still have to be mapped to byte-level characters (see ToByteLevel): the last stage is
  // ByteLevel, and leaves that to the model, which can look up words without it.
  bool ends_in_bytes() const { return ends_in_bytes_; }
  // Whether a stage treats the start of the text unlike the rest.
  bool knows_first() const { return knows_first_; }

  // One stage: gives the pieces of a text to `next`.
  class Stage {
   public:
    using Next = absl::FunctionRef<void(absl::string_view piece, bool first)>;
    virtual ~Stage() = default;
    virtual void Cut(absl::string_view text, bool first, Next next) const = 0;
  };

 private:
  absl::Status Add(const Fields& component, const std::string& type);
  absl::Status AddByteLevel(const Fields& component);
  absl::Status AddMetaspace(const Fields& component);
  absl::Status AddSplit(const Fields& component);
  void CutFrom(size_t stage, absl::string_view text, bool first, Sink sink) const;

  std::vector<std::shared_ptr<const Stage>> stages_;
  bool ends_in_bytes_ = false;
  bool knows_first_ = false;
};

}  // namespace rein::models
