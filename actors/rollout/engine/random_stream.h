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
  uint64_t key = Mix64(seed);
  for (const char c : absl::StrCat(prompt_id, "/", sample)) {
    key = Mix64(key ^ static_cast<unsigned char>(c));
  }
  return key;
}

}  // namespace rein::rollout
