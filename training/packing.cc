#include "training/packing.h"

namespace rein::training {

std::vector<MicroBatch> PackByTokens(absl::Span<const int64_t> item_tokens, int64_t limit) {
  std::vector<MicroBatch> packs;
  int64_t used = 0;
  for (size_t i = 0; i < item_tokens.size(); ++i) {
    if (packs.empty() || used + item_tokens[i] > limit) {
      packs.push_back({i, i});
      used = 0;
    }
    used += item_tokens[i];
    packs.back().end = i + 1;
  }
  return packs;
}

}  // namespace rein::training
