#include "data/byte_bpe.h"

#include <cstdint>
#include <map>

namespace rein::data {
namespace {

using Pair = std::pair<std::string, std::string>;
using Symbols = std::vector<std::string>;

// Bytes that GPT-2's alphabet shows as themselves; the others follow from U+0100 on.
bool IsPrintable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

std::string Utf8(uint32_t code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// The pair that occurs most often; among equals the first in byte order.
bool MostFrequent(const std::vector<Symbols>& words, Pair& best) {
  std::map<Pair, int> counts;
  for (const Symbols& word : words) {
    for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
  }
  int most = 0;
  for (const auto& [pair, count] : counts) {
    if (count > most) {
      most = count;
      best = pair;
    }
  }
  return most > 0;
}

void Merge(const Pair& pair, Symbols& word) {
  Symbols merged;
  for (size_t i = 0; i < word.size(); ++i) {
    if (i + 1 < word.size() && word[i] == pair.first && word[i + 1] == pair.second) {
      merged.push_back(pair.first + pair.second);
      ++i;
    } else {
      merged.push_back(word[i]);
    }
  }
  word = std::move(merged);
}

}  // namespace

std::string ByteSymbol(unsigned char byte) {
  if (IsPrintable(byte)) return Utf8(byte);
  uint32_t shifted = 0;
  for (int b = 0; b < byte; ++b) shifted += IsPrintable(b) ? 0 : 1;
  return Utf8(256 + shifted);
}

ByteBpe LearnByteBpe(const std::vector<std::string>& words) {
  ByteBpe bpe;
  for (int byte = 0; byte < 256; ++byte) bpe.tokens.push_back(ByteSymbol(static_cast<unsigned char>(byte)));
  std::vector<Symbols> split;
  for (const std::string& word : words) {
    Symbols symbols;
    for (char c : word) symbols.push_back(ByteSymbol(static_cast<unsigned char>(c)));
    split.push_back(std::move(symbols));
  }
  const auto add = [&bpe](const Pair& pair) {
    bpe.merges.push_back(pair);
    bpe.tokens.push_back(pair.first + pair.second);
  };
  for (Pair pair; MostFrequent(split, pair);) {
    for (Symbols& word : split) Merge(pair, word);
    add(pair);
  }
  // The space joins last, when the word after it is whole.
  for (const std::string& word : words) add({ByteSymbol(' '), word});
  return bpe;
}

}  // namespace rein::data
