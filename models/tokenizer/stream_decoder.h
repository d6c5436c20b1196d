// Text of a generation while its tokens come.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "models/tokenizer/tokenizer.h"

namespace rein::models {

// What Push and Flush return, put together, is what Tokenizer::Decode gives for all ids at once. Whole
// characters only: bytes of one that is not complete, and whatever else later tokens can change, wait. Not
// thread-safe.
class StreamDecoder {
 public:
  // `tokenizer` must outlive it.
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens);
  StreamDecoder(const StreamDecoder&) = delete;
  StreamDecoder& operator=(const StreamDecoder&) = delete;

  // The text that is certain now and was not before; often empty.
  std::string Push(int32_t id);
  // The rest. Afterwards a new sequence begins.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_tokens_;
  std::string out_;
  DecodeChain chain_;
};

}  // namespace rein::models
