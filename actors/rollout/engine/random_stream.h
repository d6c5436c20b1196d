// The random numbers of a sample.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/hash.h"

namespace rein::rollout {

// Key of the stream of sample `prompt_id/sample`: RandomBits(key, position) draws the response token at
// `position`, whatever else is decoded, wherever and when.
inline uint64_t StreamKey(uint64_t seed, const std::string& prompt_id, int32_t sample) {
  return KeyOf(absl::StrCat(prompt_id, "/", sample), seed);
}

}  // namespace rein::rollout
