#include "models/qwen2_vl/positions.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace rein::models {

int64_t MropeExtent(const PatchGrid& grid, int64_t merge_size) {
  return std::max(grid.rows, grid.columns) / merge_size;
}

at::Tensor MropePositions(const at::Tensor& ids, int64_t image_token_id, absl::Span<const TokenSpan> spans,
                          absl::Span<const PatchGrid> grids, int64_t merge_size) {
  at::Tensor positions = at::empty({3, ids.numel()}, at::kLong);
  const int64_t* id = ids.const_data_ptr<int64_t>();
  int64_t* times = positions.data_ptr<int64_t>();
  int64_t* rows = times + ids.numel();
  int64_t* columns = rows + ids.numel();
  const auto put = [&](int64_t token, int64_t time, int64_t row, int64_t column) {
    times[token] = time;
    rows[token] = row;
    columns[token] = column;
  };
  size_t picture = 0;
  int64_t token = 0;
  for (const TokenSpan& span : spans) {
    const int64_t end = token + span.length;
    int64_t next = span.position;
    while (token < end) {
      if (id[token] != image_token_id) {
        put(token++, next, next, next);
        ++next;
        continue;
      }
      TORCH_CHECK(picture < grids.size(), "more runs of image placeholders than pictures");
      const PatchGrid& grid = grids[picture++];
      const int64_t down = grid.rows / merge_size, across = grid.columns / merge_size;
      const int64_t count = grid.times * down * across;
      TORCH_CHECK(count > 0 && token + count <= end, "a picture of ", count, " features meets ", end - token,
                  " tokens");
      for (int64_t i = 0; i < count; ++i) {
        put(token++, next + i / (down * across), next + i / across % down, next + i % across);
      }
      next += MropeExtent(grid, merge_size);
    }
  }
  return positions;
}

}  // namespace rein::models
