// From tokens back to text, token by token: what may still change is held back.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"

namespace rein::models {

// One step of decoding. It is told of a sequence of tokens, each in parts, and tells the next step:
// 1. Text, any number of times: more of the current token, whole characters. 2. EndToken. Again from 1.
// 3. Finish, once, after the last token.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void Text(absl::string_view text) = 0;
  virtual void EndToken() = 0;
  virtual void Finish() = 0;
};

// Stages in a row; the text comes out in `*out`.
class DecodeChain {
 public:
  DecodeStage& front() { return *stages_.back(); }

 private:
  friend class Decoder;
  std::vector<std::unique_ptr<DecodeStage>> stages_;  // from the end of the row to its front
};

// Thread-safe after Parse.
class Decoder {
 public:
  // The "decoder" of tokenizer.json; where it is missing tokens are joined by spaces: ByteLevel, Replace,
  // ByteFallback, Fuse, Strip, Metaspace, BPEDecoder, Sequence. Errors: INVALID_ARGUMENT, UNIMPLEMENTED
  // (another kind).
  static absl::StatusOr<Decoder> Parse(const Fields& root);

  // Ready for one sequence of tokens; appends to `*out`, which must outlive it.
  DecodeChain Start(std::string* out) const;

 private:
  using Factory = std::function<std::unique_ptr<DecodeStage>(DecodeStage& next)>;
  absl::Status Add(const Fields& component, const std::string& type);
  template <typename Stage, typename... Arguments>
  absl::Status AddStage(Arguments... arguments);

  std::vector<Factory> stages_;
  std::string separator_;
};

}  // namespace rein::models
