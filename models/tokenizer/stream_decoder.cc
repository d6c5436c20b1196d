#include "models/tokenizer/stream_decoder.h"

#include <utility>

namespace rein::models {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(tokenizer),
      skip_special_tokens_(skip_special_tokens),
      chain_(tokenizer.decoder_.Start(&out_)) {}

std::string StreamDecoder::Push(int32_t id) {
  tokenizer_.DecodeToken(id, skip_special_tokens_, chain_.front());
  return std::exchange(out_, "");
}

std::string StreamDecoder::Flush() {
  chain_.front().Finish();
  chain_ = tokenizer_.decoder_.Start(&out_);
  return std::exchange(out_, "");
}

}  // namespace rein::models
