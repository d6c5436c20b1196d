// Learns a byte-level BPE vocabulary in which each of a list of words is one token.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace rein::data {

struct ByteBpe {
  // Token texts in the byte-level alphabet, the 256 bytes first, in the order of their ids.
  std::vector<std::string> tokens;
  // Pairs in the order of their rank.
  std::vector<std::pair<std::string, std::string>> merges;
};

// Merges until each word is one token, alone and after a space. Words are ASCII.
ByteBpe LearnByteBpe(const std::vector<std::string>& words);

// The character that stands for a byte in a byte-level vocabulary, UTF-8.
std::string ByteSymbol(unsigned char byte);

}  // namespace rein::data
