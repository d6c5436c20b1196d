// What the tests of this folder share.
#pragma once

#include <string>

#include "models/test_support.h"
#include "models/tokenizer/tokenizer.h"

namespace rein::models {

inline std::string TokenizerFileOf(const std::string& name) {
  return *ReadFile(Fixture("tokenizers/" + name) / "tokenizer.json");
}

inline Tokenizer LoadTokenizer(const std::string& name) {
  auto tokenizer = Tokenizer::Parse(TokenizerFileOf(name), name);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

// A fixture with one value replaced; `path` is a JSON pointer.
inline absl::StatusOr<Tokenizer> ParseChanged(const std::string& name, const std::string& path,
                                              const Json& value) {
  Json json = Json::parse(TokenizerFileOf(name));
  json[Json::json_pointer(path)] = value;
  return Tokenizer::Parse(json.dump(), "tokenizer.json");
}

}  // namespace rein::models
