// Digests, checksums and counter-based random numbers.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace rein {

// SHA-256 as 64 lower-case hex digits: names images and models by content.
std::string Sha256Hex(absl::string_view bytes);

// The same, of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Add(absl::string_view bytes);
  // Of all that was added. Once.
  std::string Hex();

 private:
  evp_md_ctx_st* const context_;  // OpenSSL's
};

// CRC32C (Castagnoli), continued from `crc`; 0 starts a new one. Guards checkpoint files and TensorBoard
// records.
uint32_t Crc32c(absl::string_view bytes, uint32_t crc = 0);

// SplitMix64 finaliser: a bijection that mixes all bits.
constexpr uint64_t Mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Stateless random bits for a key and a counter: the same arguments give the same bits on every host and
// build.
constexpr uint64_t RandomBits(uint64_t key, uint64_t counter) { return Mix64(Mix64(key) ^ Mix64(~counter)); }

// The key of what `name` draws under `seed`: of a tensor, a sample, a question.
constexpr uint64_t KeyOf(absl::string_view name, uint64_t seed) {
  uint64_t key = Mix64(seed);
  for (const char c : name) key = Mix64(key ^ static_cast<uint8_t>(c));
  return key;
}

// Uniform in the open interval (0, 1), from the 52 high bits: with 53 the largest value would round to 1.
constexpr double UniformFromBits(uint64_t bits) {
  return (static_cast<double>(bits >> 12) + 0.5) * (1.0 / 4503599627370496.0);
}

// A sequence of the above: a small generator whose state is two integers, so that it can be stored and
// resumed.
class CounterRandom {
 public:
  explicit CounterRandom(uint64_t key, uint64_t counter = 0) : key_(key), counter_(counter) {}
  uint64_t Bits() { return RandomBits(key_, counter_++); }
  double Uniform() { return UniformFromBits(Bits()); }
  // Uniform in [0, bound), bound > 0.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Bits()) * bound) >> 64);
  }
  uint64_t counter() const { return counter_; }

 private:
  uint64_t key_;
  uint64_t counter_;
};

}  // namespace rein
