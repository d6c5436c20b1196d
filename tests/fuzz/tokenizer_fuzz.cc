// Feeds the tokenizer with arbitrary files, texts and token ids. The first byte of an input says what the
// rest is:
//   'f'  a tokenizer.json, with which a fixed text is encoded and decoded;
//   't'  a byte that chooses a tokenizer of the fixtures, then a text;
//   'i'  the same, then token ids of two bytes each.
// Whatever comes, nothing may crash, and decoding as a stream must give what decoding at once gives.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/file.h"
#include "models/tokenizer/stream_decoder.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr char kText[] = "  It's 42 <s>Straße\u0301 \xF0\x9F\x99\x82\n\n</s> <image>a a  \xFF ▁x";

void Require(bool holds, absl::string_view what) {
  if (holds) return;
  std::cerr << "fails: " << what << "\n";
  std::abort();
}

void CheckDecoding(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  for (const bool skip_special_tokens : {false, true}) {
    StreamDecoder decoder(tokenizer, skip_special_tokens);
    std::string text;
    for (const int32_t id : ids) text += decoder.Push(id);
    text += decoder.Flush();
    Require(text == tokenizer.Decode(ids, skip_special_tokens), "a stream is decoded to what the whole is");
    Require(SanitizeUtf8(text) == text, "decoded text is UTF-8");
  }
}

void CheckEncoding(const Tokenizer& tokenizer, absl::string_view text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text, /*add_special_tokens=*/true);
  for (const int32_t id : ids) Require(id >= 0 && id < tokenizer.size(), "ids are below the size");
  Require(ids == tokenizer.Encode(text, /*add_special_tokens=*/true), "the cache changes nothing");
  CheckDecoding(tokenizer, ids);
}

struct Known {
  Tokenizer tokenizer;
  bool lossless;  // decodes to the very text
};

Known Load(const std::string& name, bool lossless) {
  const std::string path =
      std::string(REIN_SOURCE_DIR) + "/tests/fixtures/models/tokenizers/" + name + "/tokenizer.json";
  const auto file = ReadFile(path, kMaxFileBytes);
  Require(file.ok(), path);
  auto tokenizer = Tokenizer::Parse(*file, path);
  Require(tokenizer.ok(), path);
  return {*std::move(tokenizer), lossless};
}

const std::vector<Known>& Fixtures() {
  static const auto& fixtures = *new std::vector<Known>{
      Load("gpt2", true),      Load("qwen2", false),           Load("llama3", true),
      Load("smollm2", true),   Load("prefix_space", false),    Load("llama_legacy", false),
      Load("word_end", false), Load("llama_metaspace", false), Load("metaspace_split", false)};
  return fixtures;
}

void RunFile(const std::string& file) {
  const auto tokenizer = Tokenizer::Parse(file, "tokenizer.json");
  if (tokenizer.ok()) CheckEncoding(*tokenizer, kText);
}

void RunText(const Known& known, absl::string_view text) {
  CheckEncoding(known.tokenizer, text);
  if (!known.lossless) return;
  const std::vector<int32_t> ids = known.tokenizer.Encode(text, /*add_special_tokens=*/false);
  Require(known.tokenizer.Decode(ids, false) == SanitizeUtf8(text), "a byte-level tokenizer loses nothing");
}

void RunIds(const Known& known, absl::string_view bytes) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    ids.push_back((static_cast<uint8_t>(bytes[i]) << 8 | static_cast<uint8_t>(bytes[i + 1])) - 1);
  }
  CheckDecoding(known.tokenizer, ids);
}

}  // namespace
}  // namespace rein::models

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rein::models;
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.size() < 2) return 0;
  if (input[0] == 'f') {
    RunFile(std::string(input.substr(1)));
    return 0;
  }
  const Known& known = Fixtures()[data[1] % Fixtures().size()];
  if (input[0] == 't') RunText(known, input.substr(2));
  if (input[0] == 'i') RunIds(known, input.substr(2));
  return 0;
}
