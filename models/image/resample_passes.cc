#include "models/image/resample_passes.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rein::models {
namespace {

constexpr int32_t kRound = 1 << (kResamplePrecisionBits - 1);
constexpr size_t kSlack = 32;  // bytes that vector code may read behind a row

// Four taps of one output column for _mm256_madd_epi16, whose factors have 16 bits: weight = 4096 high + low.
// Missing taps weigh 0.
struct TapQuad {
  int16_t low[4];
  int16_t high[4];
};

uint8_t Clip8(int32_t value) {
  return static_cast<uint8_t>(std::clamp(value >> kResamplePrecisionBits, 0, 255));
}

data::RgbImage Blank(size_t width, size_t height) {
  return {static_cast<int>(width), static_cast<int>(height), data::Pixels(3 * width * height)};
}

// One output pixel of a row.
void CombineColumns(const int32_t* weights, int count, const uint8_t* input, uint8_t* output) {
  int32_t sums[3] = {kRound, kRound, kRound};
  for (int i = 0; i < count; ++i, input += 3) {
    for (int c = 0; c < 3; ++c) sums[c] += weights[i] * input[c];
  }
  for (int c = 0; c < 3; ++c) output[c] = Clip8(sums[c]);
}

// `bytes` channel values from `count` rows `stride` bytes apart.
void CombineRows(const int32_t* weights, int count, const uint8_t* input, size_t stride, size_t bytes,
                 uint8_t* output) {
  for (size_t x = 0; x < bytes; ++x) {
    int32_t sum = kRound;
    for (int i = 0; i < count; ++i) sum += weights[i] * input[static_cast<size_t>(i) * stride + x];
    output[x] = Clip8(sum);
  }
}

#if defined(__x86_64__)

bool use_vectors = __builtin_cpu_supports("avx2");

std::vector<TapQuad> QuadsOf(const Taps& taps, std::vector<size_t>* offsets) {
  std::vector<TapQuad> quads;
  for (size_t output = 0; output < taps.size(); ++output) {
    offsets->push_back(quads.size());
    for (int i = 0; i < taps.counts[output]; ++i) {
      if (i % 4 == 0) quads.push_back({});
      const int32_t weight = taps.weights[taps.offsets[output] + static_cast<size_t>(i)];
      quads.back().low[i % 4] = static_cast<int16_t>(weight & 4095);
      quads.back().high[i % 4] = static_cast<int16_t>(weight >> 12);
    }
  }
  offsets->push_back(quads.size());
  return quads;
}

// One output pixel; 16 bytes are read for every 12. The lower half of a register takes the first two of four
// pixels, the upper half the others: bytes become pairs of 16-bit values, one pair a channel.
__attribute__((target("avx2"))) inline void CombineQuads(const TapQuad* quads, size_t count,
                                                         const uint8_t* input, uint8_t* output) {
  const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                         6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m256i lows = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,  //
                                        4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  const __m256i highs = _mm256_add_epi8(lows, _mm256_set1_epi8(8));
  __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
  for (size_t i = 0; i < count; ++i, input += 12) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(input));
    const __m128i quad = _mm_loadu_si128(reinterpret_cast<const __m128i*>(quads + i));
    const __m256i values = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), pairs);
    const __m256i weights = _mm256_broadcastsi128_si256(quad);
    low = _mm256_add_epi32(low, _mm256_madd_epi16(values, _mm256_shuffle_epi8(weights, lows)));
    high = _mm256_add_epi32(high, _mm256_madd_epi16(values, _mm256_shuffle_epi8(weights, highs)));
  }
  const __m256i both = _mm256_add_epi32(low, _mm256_slli_epi32(high, 12));
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(kRound)), kResamplePrecisionBits);
  sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
  const int32_t pixel = _mm_cvtsi128_si32(sum);
  std::memcpy(output, &pixel, 3);
}

__attribute__((target("avx2"))) void ResizeRowVector(const Taps& columns, const std::vector<TapQuad>& quads,
                                                     const std::vector<size_t>& offsets, const uint8_t* row,
                                                     int first_column, uint8_t* output) {
  for (size_t x = 0; x < columns.size(); ++x, output += 3) {
    CombineQuads(quads.data() + offsets[x], offsets[x + 1] - offsets[x],
                 row + 3 * (columns.firsts[x] - first_column), output);
  }
}

// 16 channel values.
__attribute__((target("avx2"))) inline void CombineRows16(const int32_t* weights, int count,
                                                          const uint8_t* input, size_t stride,
                                                          uint8_t* output) {
  __m256i left = _mm256_set1_epi32(kRound), right = left;
  for (int i = 0; i < count; ++i, input += stride) {
    const __m256i weight = _mm256_set1_epi32(weights[i]);
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(input));
    left = _mm256_add_epi32(left, _mm256_mullo_epi32(weight, _mm256_cvtepu8_epi32(bytes)));
    right =
        _mm256_add_epi32(right, _mm256_mullo_epi32(weight, _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))));
  }
  left = _mm256_srai_epi32(left, kResamplePrecisionBits);
  right = _mm256_srai_epi32(right, kResamplePrecisionBits);
  // packs works on halves of a register, so the quarters come out as 0, 2, 1, 3.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(left, right), 0xD8);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(output), bytes);
}

// Returns how many of `bytes` are done.
__attribute__((target("avx2"))) size_t CombineRowsVector(const int32_t* weights, int count,
                                                         const uint8_t* input, size_t stride, size_t bytes,
                                                         uint8_t* output) {
  size_t x = 0;
  for (; x + 16 <= bytes; x += 16) CombineRows16(weights, count, input + x, stride, output + x);
  return x;
}

#else

bool use_vectors = false;

#endif

void ResizeColumnsScalar(const data::RgbImage& image, const Taps& columns, int first_column, const Span& span,
                         uint8_t* output) {
  for (int y = span.first; y < span.last; ++y) {
    const uint8_t* row = image.pixels.data() + 3 * static_cast<size_t>(y) * static_cast<size_t>(image.width);
    for (size_t x = 0; x < columns.size(); ++x, output += 3) {
      CombineColumns(columns.weights.data() + columns.offsets[x], columns.counts[x],
                     row + 3 * (columns.firsts[x] - first_column), output);
    }
  }
}

void ResizeColumnsVector([[maybe_unused]] const data::RgbImage& image, [[maybe_unused]] const Taps& columns,
                         [[maybe_unused]] int first_column, [[maybe_unused]] const Span& span,
                         [[maybe_unused]] uint8_t* output) {
#if defined(__x86_64__)
  std::vector<size_t> offsets;
  const std::vector<TapQuad> quads = QuadsOf(columns, &offsets);
  const size_t row_bytes = 3 * static_cast<size_t>(image.width);
  std::vector<uint8_t> last_rows(row_bytes + kSlack);
  for (int y = span.first; y < span.last; ++y, output += 3 * columns.size()) {
    const size_t begin = static_cast<size_t>(y) * row_bytes;
    const uint8_t* row = image.pixels.data() + begin;
    // Behind the others there is more of the picture.
    if (begin + row_bytes + kSlack > image.pixels.size()) {
      std::copy_n(row, row_bytes, last_rows.data());
      row = last_rows.data();
    }
    ResizeRowVector(columns, quads, offsets, row, first_column, output);
  }
#endif
}

}  // namespace

Span InputOf(const Taps& taps) { return {taps.firsts.front(), taps.firsts.back() + taps.counts.back()}; }

data::RgbImage ResizeColumns(const data::RgbImage& image, const Taps& columns, int first_column,
                             const Span& span) {
  data::RgbImage out = Blank(columns.size(), static_cast<size_t>(span.last - span.first));
  if (use_vectors) {
    ResizeColumnsVector(image, columns, first_column, span, out.pixels.data());
  } else {
    ResizeColumnsScalar(image, columns, first_column, span, out.pixels.data());
  }
  return out;
}

data::RgbImage ResizeRows(const data::RgbImage& image, const Taps& rows, int first_row, const Span& span) {
  data::RgbImage out = Blank(static_cast<size_t>(span.last - span.first), rows.size());
  const size_t stride = 3 * static_cast<size_t>(image.width), bytes = 3 * static_cast<size_t>(out.width);
  uint8_t* output = out.pixels.data();
  for (size_t y = 0; y < rows.size(); ++y, output += bytes) {
    const int32_t* weights = rows.weights.data() + rows.offsets[y];
    const uint8_t* input = image.pixels.data() + static_cast<size_t>(rows.firsts[y] - first_row) * stride +
                           3 * static_cast<size_t>(span.first);
    size_t done = 0;
#if defined(__x86_64__)
    if (use_vectors) done = CombineRowsVector(weights, rows.counts[y], input, stride, bytes, output);
#endif
    CombineRows(weights, rows.counts[y], input + done, stride, bytes - done, output + done);
  }
  return out;
}

void UseVectorResample(bool use) {
#if defined(__x86_64__)
  use_vectors = use && __builtin_cpu_supports("avx2");
#else
  use_vectors = use && false;
#endif
}

}  // namespace rein::models
