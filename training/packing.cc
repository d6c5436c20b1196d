#include "training/packing.h"

#include <algorithm>
#include <numeric>

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

std::vector<std::vector<size_t>> DivideByTokens(absl::Span<const int64_t> item_tokens, size_t parts) {
  std::vector<size_t> largest_first(item_tokens.size());
  std::iota(largest_first.begin(), largest_first.end(), size_t{0});
  std::stable_sort(largest_first.begin(), largest_first.end(),
                   [&](size_t a, size_t b) { return item_tokens[a] > item_tokens[b]; });
  std::vector<std::vector<size_t>> divided(parts);
  std::vector<int64_t> used(parts);
  for (const size_t item : largest_first) {
    const auto part = std::min_element(used.begin(), used.end()) - used.begin();
    divided[part].push_back(item);
    used[part] += item_tokens[item];
  }
  for (std::vector<size_t>& items : divided) std::sort(items.begin(), items.end());
  return divided;
}

}  // namespace rein::training
