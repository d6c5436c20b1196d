// Which keys every new token sees; shared by the implementations of PagedAttention.
#pragma once

#include <c10/util/ArrayRef.h>

#include <cstdint>
#include <vector>

namespace rein::kernels {

struct PagedToken {
  int32_t sequence = 0;
  int32_t context = 0;  // tokens that it attends to, itself included
};

// The new tokens of all sequences end to end, see PagedAttention.
inline std::vector<PagedToken> PagedTokens(c10::IntArrayRef query_lens, c10::IntArrayRef context_lens) {
  std::vector<PagedToken> tokens;
  for (size_t s = 0; s < query_lens.size(); ++s) {
    for (int64_t i = 0; i < query_lens[s]; ++i) {
      tokens.push_back(
          {static_cast<int32_t>(s), static_cast<int32_t>(context_lens[s] - query_lens[s] + i + 1)});
    }
  }
  return tokens;
}

}  // namespace rein::kernels
