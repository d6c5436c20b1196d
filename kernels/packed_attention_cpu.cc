#include "kernels/packed_attention_cpu.h"

#include <cstring>

#include "kernels/cpu_math.h"

namespace rein::kernels {
namespace {

// Everything below is inlined into the two functions at the end, once for each
// level of the instruction set.
using Floats = float __attribute__((vector_size(32)));

constexpr int64_t kWidth = sizeof(Floats) / sizeof(float);
constexpr int64_t kPanel = 2 * kWidth;  // columns of a panel
constexpr int64_t kTile = 4;            // rows whose sums are in registers, kPanel columns each
constexpr int64_t kBlock = 32;          // queries that share the panels of a pass

int64_t RoundUp(int64_t n) { return (n + kPanel - 1) / kPanel * kPanel; }

// A matrix in panels of kPanel columns, each [rows, kPanel]; columns behind the
// last are 0.
struct Panels {
  float *data;
  int64_t rows;
  float *at(int64_t column) const { return data + column * rows; }
};

// Factors of a product: element (r, k) of the left one is data[r * row + k *
// step], row k of the right one begins at data[k * step].
struct Left {
  const float *data;
  int64_t row, step;
  Left From(int64_t r) const { return {data + r * row, row, step}; }
};
struct Right {
  const float *data;
  int64_t step;
};

enum class Into { kWrite, kAdd };

// c [kRows, kPanel] = (or +=) left [kRows, steps] * right [steps, kPanel].
template <Into kInto, int kRows>
void MultiplyTile(const Left &left, const Right &right, int64_t steps, float *c, int64_t c_row) {
  Floats sums[kRows][2] = {};
  for (int64_t k = 0; k < steps; ++k) {
    Floats first, second;
    std::memcpy(&first, right.data + k * right.step, sizeof(first));
    std::memcpy(&second, right.data + k * right.step + kWidth, sizeof(second));
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const float factor = left.data[r * left.row + k * left.step];
      sums[r][0] += factor * first;
      sums[r][1] += factor * second;
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    if constexpr (kInto == Into::kAdd) {
      Floats before[2];
      std::memcpy(before, c + r * c_row, sizeof(before));
      sums[r][0] += before[0];
      sums[r][1] += before[1];
    }
    std::memcpy(c + r * c_row, sums[r], sizeof(sums[r]));
  }
}

template <Into kInto>
void Multiply(const Left &left, const Right &right, int64_t rows, int64_t steps, float *c, int64_t c_row) {
  int64_t r = 0;
  for (; r + kTile <= rows; r += kTile)
    MultiplyTile<kInto, kTile>(left.From(r), right, steps, c + r * c_row, c_row);
  for (; r < rows; ++r) MultiplyTile<kInto, 1>(left.From(r), right, steps, c + r * c_row, c_row);
}

// A matrix whose rows are `step` apart, as tensors have them.
struct Rows {
  const float *data;
  int64_t step;
};

void PackColumns(const Rows &x, int64_t columns, const Panels &out) {
  for (int64_t first = 0; first < columns; first += kPanel) {
    const int64_t count = std::min(kPanel, columns - first);
    float *row = out.at(first);
    for (int64_t r = 0; r < out.rows; ++r, row += kPanel) {
      std::copy_n(x.data + r * x.step + first, count, row);
      std::fill(row + count, row + kPanel, 0.0f);
    }
  }
}

void UnpackColumns(const Panels &x, int64_t columns, float *out, int64_t step) {
  for (int64_t first = 0; first < columns; first += kPanel) {
    const int64_t count = std::min(kPanel, columns - first);
    for (int64_t r = 0; r < x.rows; ++r) std::copy_n(x.at(first) + r * kPanel, count, out + r * step + first);
  }
}

// Of `columns` rows of x, whose first out.rows values become columns.
void PackTransposed(const Rows &x, int64_t columns, const Panels &out) {
  for (int64_t first = 0; first < columns; first += kPanel) {
    const int64_t count = std::min(kPanel, columns - first);
    float *panel = out.at(first);
    if (count < kPanel) std::fill(panel, panel + out.rows * kPanel, 0.0f);
    for (int64_t r = 0; r < out.rows; ++r) {
      for (int64_t c = 0; c < count; ++c) panel[r * kPanel + c] = x.data[(first + c) * x.step + r];
    }
  }
}

// A block of queries of one head of one sequence.
struct Block {
  int64_t first, rows;
  int64_t keys() const { return first + rows; }  // that its last query sees
  int64_t seen(int64_t row) const { return first + row + 1; }
};

// [block.rows, head_dim] in rows `step` apart, filled up with zeros.
void PackBlock(const Rows &x, const Block &block, int64_t dim, float scale, float *out, int64_t step) {
  for (int64_t i = 0; i < block.rows; ++i) {
    const float *row = x.data + (block.first + i) * x.step;
    for (int64_t c = 0; c < dim; ++c) out[i * step + c] = scale * row[c];
    std::fill(out + i * step + dim, out + (i + 1) * step, 0.0f);
  }
}

void UnpackBlock(const float *x, int64_t step, const Block &block, int64_t dim, const float *scales,
                 float *out, int64_t out_step) {
  for (int64_t i = 0; i < block.rows; ++i) {
    float *row = out + (block.first + i) * out_step;
    for (int64_t c = 0; c < dim; ++c) row[c] = scales[i] * x[i * step + c];
  }
}

// products[i][j] = left row i times column j, where query i sees key j;
// undefined where it does not.
void MultiplySeen(const Left &left, const Panels &columns, const Block &block, float *products,
                  int64_t step) {
  for (int64_t j = 0; j < block.keys(); j += kPanel) {
    const int64_t blind = std::max<int64_t>(0, j - block.first) / kTile * kTile;
    Multiply<Into::kWrite>(left.From(blind), {columns.at(j), kPanel}, block.rows - blind, columns.rows,
                           products + blind * step + j, step);
  }
}

void ClearUnseen(const Block &block, float *weights, int64_t step) {
  for (int64_t i = 0; i < block.rows; ++i)
    std::fill(weights + i * step + block.seen(i), weights + i * step + block.keys(), 0.0f);
}

// sums [rows, kPanel a panel] = weights [rows, keys] * panels, of the keys that
// are seen.
void SumSeen(const float *weights, int64_t step, const Block &block, const Panels &panels, int64_t dim,
             float *sums, int64_t sums_step) {
  for (int64_t c = 0; c < dim; c += kPanel) {
    for (int64_t i = 0; i < block.rows; i += kTile) {
      const int64_t rows = std::min(kTile, block.rows - i);
      Multiply<Into::kWrite>({weights + i * step, step, 1}, {panels.at(c), kPanel}, rows,
                             block.seen(i + rows - 1), sums + i * sums_step + c, sums_step);
    }
  }
}

// sums [keys, ...] += the transpose of weights [rows, keys] times x [rows,
// dim].
void AddTransposed(const float *weights, int64_t step, const Block &block, const float *x, int64_t x_step,
                   const Panels &sums) {
  for (int64_t c = 0; c < x_step; c += kPanel)
    Multiply<Into::kAdd>({weights, 1, step}, {x + c, x_step}, block.keys(), block.rows, sums.at(c), kPanel);
}

// Hands out the scratch memory, or counts how much is needed.
class Arena {
 public:
  explicit Arena(float *memory) : memory_(memory) {}
  float *Take(int64_t floats) {
    const int64_t at = taken_;
    taken_ += floats;
    return memory_ == nullptr ? nullptr : memory_ + at;
  }
  Panels TakePanels(int64_t rows, int64_t columns) { return {Take(rows * RoundUp(columns)), rows}; }
  int64_t taken() const { return taken_; }

 private:
  float *memory_;
  int64_t taken_ = 0;
};

// Rows of scores keep a distance that is no power of two: columns of them are
// read, too.
int64_t ScoresStep(int64_t length) { return RoundUp(length) + kPanel; }

struct ForwardScratch {
  ForwardScratch(const AttentionShape &shape, int64_t length, Arena &arena)
      : keys(arena.TakePanels(shape.head_dim, length)),
        values(arena.TakePanels(length, shape.head_dim)),
        queries(arena.Take(kBlock * RoundUp(shape.head_dim))),
        sums(arena.Take(kBlock * RoundUp(shape.head_dim))),
        scores(arena.Take(kBlock * ScoresStep(length))) {}
  Panels keys, values;  // keys transposed
  float *queries, *sums, *scores;
};

struct BackwardScratch {
  BackwardScratch(const AttentionShape &shape, int64_t length, Arena &arena)
      : keys_across(arena.TakePanels(shape.head_dim, length)),
        values_across(arena.TakePanels(shape.head_dim, length)),
        keys(arena.TakePanels(length, shape.head_dim)),
        grad_keys(arena.TakePanels(length, shape.head_dim)),
        grad_values(arena.TakePanels(length, shape.head_dim)),
        queries(arena.Take(kBlock * RoundUp(shape.head_dim))),
        grads(arena.Take(kBlock * RoundUp(shape.head_dim))),
        grad_queries(arena.Take(kBlock * RoundUp(shape.head_dim))),
        weights(arena.Take(kBlock * ScoresStep(length))),
        grad_scores(arena.Take(kBlock * ScoresStep(length))) {}
  Panels keys_across, values_across, keys, grad_keys, grad_values;
  float *queries, *grads, *grad_queries, *weights, *grad_scores;
};

// Scores become weights that are still to be divided by their sums.
void ExponentiateSeen(const Block &block, float *scores, int64_t step, float *lse, int64_t lse_step,
                      float *inverse_sums) {
  for (int64_t i = 0; i < block.rows; ++i) {
    float *row = scores + i * step;
    const float max = Max(row, block.seen(i));
    const float sum = ExpShifted(row, block.seen(i), max);
    lse[(block.first + i) * lse_step] = max + std::log(sum);
    inverse_sums[i] = 1.0f / sum;
  }
  ClearUnseen(block, scores, step);
}

void ForwardBlock(const AttentionShape &shape, const Rows &q, const Block &block,
                  const ForwardScratch &scratch, int64_t score_step, float *out, float *lse) {
  const int64_t dim = shape.head_dim, step = RoundUp(dim);
  float inverse_sums[kBlock];
  PackBlock(q, block, dim, shape.scale, scratch.queries, step);
  MultiplySeen({scratch.queries, step, 1}, scratch.keys, block, scratch.scores, score_step);
  ExponentiateSeen(block, scratch.scores, score_step, lse, shape.heads, inverse_sums);
  SumSeen(scratch.scores, score_step, block, scratch.values, dim, scratch.sums, step);
  UnpackBlock(scratch.sums, step, block, dim, inverse_sums, out, shape.heads * dim);
}

// Scores become weights, their gradients become those of the scores.
void DifferentiateSeen(const Block &block, float *weights, float *grads, int64_t step, const float *lse,
                       int64_t lse_step, const float *deltas) {
  for (int64_t i = 0; i < block.rows; ++i) {
    float *weight = weights + i * step, *grad = grads + i * step;
    const float normalizer = lse[(block.first + i) * lse_step];
    for (int64_t j = 0; j < block.seen(i); ++j) weight[j] = FastExp(weight[j] - normalizer);
    for (int64_t j = 0; j < block.seen(i); ++j) grad[j] = weight[j] * (grad[j] - deltas[i]);
  }
  ClearUnseen(block, weights, step);
  ClearUnseen(block, grads, step);
}

void BackwardBlock(const AttentionShape &shape, const Rows &q, const PackedResults &results,
                   const Block &block, const BackwardScratch &scratch, int64_t score_step, float *dq) {
  const int64_t dim = shape.head_dim, step = RoundUp(dim), row = shape.heads * dim;
  float deltas[kBlock], scales[kBlock];
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t at = (block.first + i) * row;
    deltas[i] = Dot(results.grad + at, results.out + at, dim);
    scales[i] = shape.scale;
  }
  PackBlock(q, block, dim, shape.scale, scratch.queries, step);
  PackBlock({results.grad, row}, block, dim, 1.0f, scratch.grads, step);
  MultiplySeen({scratch.queries, step, 1}, scratch.keys_across, block, scratch.weights, score_step);
  MultiplySeen({scratch.grads, step, 1}, scratch.values_across, block, scratch.grad_scores, score_step);
  DifferentiateSeen(block, scratch.weights, scratch.grad_scores, score_step, results.lse, shape.heads,
                    deltas);
  AddTransposed(scratch.weights, score_step, block, scratch.grads, step, scratch.grad_values);
  AddTransposed(scratch.grad_scores, score_step, block, scratch.queries, step, scratch.grad_keys);
  SumSeen(scratch.grad_scores, score_step, block, scratch.keys, dim, scratch.grad_queries, step);
  UnpackBlock(scratch.grad_queries, step, block, dim, scales, dq, row);
}

}  // namespace

int64_t PackedForwardScratch(const AttentionShape &shape, int64_t length) {
  Arena arena(nullptr);
  ForwardScratch(shape, length, arena);
  return arena.taken();
}

int64_t PackedBackwardScratch(const AttentionShape &shape, int64_t length) {
  Arena arena(nullptr);
  BackwardScratch(shape, length, arena);
  return arena.taken();
}

[[gnu::flatten]] REIN_VECTORIZED void PackedForwardPartCpu(const AttentionShape &shape,
                                                           const PackedInputs &inputs, const PackedPart &part,
                                                           float *out, float *lse, float *memory) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads;
  Arena arena(memory);
  const ForwardScratch scratch(shape, part.length, arena);
  PackTransposed({inputs.k + part.begin * inputs.k_step + part.kv_head * dim, inputs.k_step}, part.length,
                 scratch.keys);
  PackColumns({inputs.v + part.begin * inputs.v_step + part.kv_head * dim, inputs.v_step}, dim,
              scratch.values);
  for (int64_t head = part.kv_head * group; head < (part.kv_head + 1) * group; ++head) {
    const Rows q = {inputs.q + part.begin * inputs.q_step + head * dim, inputs.q_step};
    const int64_t row = part.begin * shape.heads + head;
    for (int64_t i = 0; i < part.length; i += kBlock) {
      ForwardBlock(shape, q, {i, std::min(kBlock, part.length - i)}, scratch, ScoresStep(part.length),
                   out + row * dim, lse + row);
    }
  }
}

[[gnu::flatten]] REIN_VECTORIZED void PackedBackwardPartCpu(const AttentionShape &shape,
                                                            const PackedInputs &inputs,
                                                            const PackedResults &results,
                                                            const PackedPart &part,
                                                            const PackedGradients &gradients, float *memory) {
  const int64_t dim = shape.head_dim, group = shape.heads / shape.kv_heads;
  Arena arena(memory);
  const BackwardScratch scratch(shape, part.length, arena);
  const Rows k = {inputs.k + part.begin * inputs.k_step + part.kv_head * dim, inputs.k_step};
  PackTransposed(k, part.length, scratch.keys_across);
  PackColumns(k, dim, scratch.keys);
  PackTransposed({inputs.v + part.begin * inputs.v_step + part.kv_head * dim, inputs.v_step}, part.length,
                 scratch.values_across);
  for (const Panels &sums : {scratch.grad_keys, scratch.grad_values})
    std::fill(sums.data, sums.data + part.length * RoundUp(dim), 0.0f);
  for (int64_t head = part.kv_head * group; head < (part.kv_head + 1) * group; ++head) {
    const Rows q = {inputs.q + part.begin * inputs.q_step + head * dim, inputs.q_step};
    const int64_t row = part.begin * shape.heads + head;
    const PackedResults of_head = {results.out + row * dim, results.lse + row, results.grad + row * dim};
    for (int64_t i = 0; i < part.length; i += kBlock) {
      BackwardBlock(shape, q, of_head, {i, std::min(kBlock, part.length - i)}, scratch,
                    ScoresStep(part.length), gradients.q + row * dim);
    }
  }
  const int64_t step = shape.kv_heads * dim, first = (part.begin * shape.kv_heads + part.kv_head) * dim;
  UnpackColumns(scratch.grad_keys, dim, gradients.k + first, step);
  UnpackColumns(scratch.grad_values, dim, gradients.v + first, step);
}

}  // namespace rein::kernels
