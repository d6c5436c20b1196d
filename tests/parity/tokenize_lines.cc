// Reads texts from standard input, each as its length in 4 bytes and its bytes, and answers each with what
// the tokenizer makes of it: ids without and with special tokens, each list as its length and ids of 4 bytes;
// then, in the form of the input, the text that the latter are decoded to with special tokens, without, and
// with all ids in reverse order, which breaks characters. Little-endian. tokenizers_live.py is at the other
// end.
//
//   tokenize_lines TOKENIZER_JSON
//
// Ends with 1 and a message when the file is refused or decoding as a stream gives another text.

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "base/file.h"
#include "models/tokenizer/stream_decoder.h"
#include "models/tokenizer/tokenizer.h"

namespace rein::models {
namespace {

constexpr uint32_t kMaxTextBytes = 1 << 24;

void WriteNumber(uint32_t number) { std::cout.write(reinterpret_cast<const char*>(&number), sizeof(number)); }

void WriteIds(const std::vector<int32_t>& ids) {
  WriteNumber(static_cast<uint32_t>(ids.size()));
  for (const int32_t id : ids) WriteNumber(static_cast<uint32_t>(id));
}

// Whether decoding piece by piece agrees with decoding at once.
bool WriteDecoded(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special_tokens) {
  const std::string text = tokenizer.Decode(ids, skip_special_tokens);
  StreamDecoder decoder(tokenizer, skip_special_tokens);
  std::string streamed;
  for (const int32_t id : ids) streamed += decoder.Push(id);
  streamed += decoder.Flush();
  WriteNumber(static_cast<uint32_t>(text.size()));
  std::cout << text;
  return streamed == text;
}

int Run(const std::string& path) {
  const auto file = ReadFile(path, uint64_t{64} << 20);
  const auto tokenizer = file.ok() ? Tokenizer::Parse(*file, path) : file.status();
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  uint32_t length = 0;
  std::string text;
  while (std::cin.read(reinterpret_cast<char*>(&length), sizeof(length)) && length <= kMaxTextBytes) {
    text.resize(length);
    if (!std::cin.read(text.data(), length)) return 1;
    const std::vector<int32_t> ids = tokenizer->Encode(text, /*add_special_tokens=*/true);
    const std::vector<int32_t> reversed(ids.rbegin(), ids.rend());
    WriteIds(tokenizer->Encode(text, /*add_special_tokens=*/false));
    WriteIds(ids);
    if (!WriteDecoded(*tokenizer, ids, false) || !WriteDecoded(*tokenizer, ids, true) ||
        !WriteDecoded(*tokenizer, reversed, false)) {
      std::cerr << "the decoded stream differs from the decoded whole of \"" << text << "\"\n";
      return 1;
    }
    std::cout.flush();
  }
  return 0;
}

}  // namespace
}  // namespace rein::models

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenize_lines TOKENIZER_JSON\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  return rein::models::Run(argv[1]);
}
