#include <c10/cuda/CUDAException.h>

#include "base/hash.h"
#include "kernels/cuda_block.cuh"
#include "kernels/ops_cuda.h"

namespace rein::kernels {
namespace {

// An id and its logit; id -1: none yet.
struct Candidate {
  float logit;
  int64_t id;
};

// The larger logit, the lower id among equals.
struct Better {
  __device__ Candidate operator()(Candidate a, Candidate b) const {
    if (a.id < 0 || b.id < 0) return a.id < 0 ? b : a;
    if (a.logit != b.logit) return a.logit > b.logit ? a : b;
    return a.id < b.id ? a : b;
  }
};

// One block a row.
__global__ void Weigh(const float* logits, const bool* allowed, int64_t vocab, double temperature,
                      double* weights, int64_t* greedy, double* log_sum) {
  __shared__ Candidate candidates[kBlock];
  __shared__ double scratch[kBlock];
  const int64_t row = blockIdx.x;
  logits += row * vocab;
  weights += row * vocab;
  Candidate best{0, -1};
  for (int64_t i = threadIdx.x; i < vocab; i += kBlock) {
    if (allowed == nullptr || allowed[i]) best = Better()(best, {logits[i], i});
  }
  best = BlockReduce(best, candidates, Better());
  double sum = 0;
  for (int64_t i = threadIdx.x; i < vocab; i += kBlock) {
    const bool in = allowed == nullptr || allowed[i];
    weights[i] = in ? exp((static_cast<double>(logits[i]) - best.logit) / temperature) : 0.0;
    sum += weights[i];
  }
  sum = BlockSum(sum, scratch);
  if (threadIdx.x == 0) {
    greedy[row] = best.id;
    log_sum[row] = log(sum);
  }
}

// One block a row, one run of neighbouring ids a thread: the first thread sums up the runs, finds the one
// that holds the draw, and walks through it.
__global__ void Draw(const double* weights, const int64_t* bits, int64_t vocab, int64_t* token) {
  __shared__ double sums[kBlock];
  const int64_t row = blockIdx.x, run = (vocab + kBlock - 1) / kBlock;
  weights += row * vocab;
  double sum = 0;
  for (int64_t i = threadIdx.x * run; i < min(vocab, (threadIdx.x + 1) * run); ++i) sum += weights[i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double total = 0;
  for (int i = 0; i < kBlock; ++i) total += sums[i];
  const double wanted = UniformFromBits(static_cast<uint64_t>(bits[row])) * total;
  double before = 0;
  int holder = 0, last = 0;
  for (int i = 0; i < kBlock; ++i) {
    if (sums[i] > 0) last = i;
  }
  while (holder < last && before + sums[holder] <= wanted) before += sums[holder++];
  int64_t drawn = -1;
  for (int64_t i = holder * run; i < min(vocab, (holder + 1) * run); ++i) {
    if (weights[i] <= 0) continue;
    drawn = i;
    before += weights[i];
    if (before > wanted) break;
  }
  token[row] = drawn;
}

}  // namespace

void WeighCuda(const float* logits, const bool* allowed, int64_t rows, int64_t vocab, double temperature,
               double* weights, int64_t* greedy, double* log_sum, cudaStream_t stream) {
  if (rows == 0) return;
  Weigh<<<rows, kBlock, 0, stream>>>(logits, allowed, vocab, temperature, weights, greedy, log_sum);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void DrawCuda(const double* weights, const int64_t* bits, int64_t rows, int64_t vocab, int64_t* token,
              cudaStream_t stream) {
  if (rows == 0) return;
  Draw<<<rows, kBlock, 0, stream>>>(weights, bits, vocab, token);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace rein::kernels
