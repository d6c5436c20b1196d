#include "models/tokenizer/tokenizer.h"

#include <string>
#include <vector>

#include "models/test_support.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

using absl::StatusCode;

std::string FileOf(const std::string& name) {
  return *ReadFile(Fixture("tokenizers/" + name) / "tokenizer.json");
}

Tokenizer Load(const std::string& name) {
  auto tokenizer = Tokenizer::Parse(FileOf(name), name);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

class EveryTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(EveryTokenizer, GivesTheIdsAndTextsOfTheReference) {
  const Tokenizer tokenizer = Load(GetParam());
  const Json cases = Json::parse(*ReadFile(Fixture("tokenizers/" + GetParam()) / "cases.json"));
  ASSERT_GT(cases.size(), 20u);
  for (const Json& test : cases) {
    const auto ids = test.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.Decode(ids, false), test.at("decoded").get<std::string>());
    if (!test.contains("text")) continue;
    const auto text = test.at("text").get<std::string>();
    EXPECT_EQ(tokenizer.Encode(text, false), ids) << text;
    EXPECT_EQ(tokenizer.Encode(text, true), test.at("ids_with_special").get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer.Decode(ids, true), test.at("decoded_without_special").get<std::string>()) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, EveryTokenizer, testing::Values("gpt2", "qwen2", "prefix_space"),
                         [](const auto& info) { return info.param; });

TEST(Tokenizer, TakesBrokenUtf8AsReplacementCharacters) {
  const Tokenizer tokenizer = Load("gpt2");
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("a\xff"
                                              "b\xe6\x97",
                                              false),
                             false),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

TEST(Tokenizer, EncodesAMegabyteOfOneWordInTime) {
  const Tokenizer tokenizer = Load("gpt2");
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, false), false), text);
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = Load("gpt2");
  EXPECT_EQ(tokenizer.TokenOf(tokenizer.IdOf("<image>")), "<image>");
  EXPECT_TRUE(tokenizer.IsSpecial(tokenizer.IdOf("</s>")));
  EXPECT_FALSE(tokenizer.IsSpecial(tokenizer.IdOf("a")));
  EXPECT_EQ(tokenizer.IdOf("no such token"), -1);
  EXPECT_EQ(tokenizer.TokenOf(-1), "");
  EXPECT_EQ(tokenizer.TokenOf(1 << 30), "");
  EXPECT_EQ(tokenizer.Decode({-5, 1 << 30}, false), "");
}

// Parses the GPT-2 fixture with one value replaced; `path` is a JSON pointer.
absl::Status ParseChanged(const std::string& path, const Json& value) {
  Json json = Json::parse(FileOf("gpt2"));
  json[Json::json_pointer(path)] = value;
  return Tokenizer::Parse(json.dump(), "tokenizer.json").status();
}

TEST(Tokenizer, NamesWhatIsNotSupported) {
  const auto refuse = [](const std::string& path, const Json& value,
                         std::initializer_list<std::string> texts) {
    ExpectError(ParseChanged(path, value), StatusCode::kUnimplemented, texts);
  };
  refuse("/model/type", "Unigram", {"model", "Unigram", "BPE"});
  refuse("/model/byte_fallback", true, {"byte_fallback"});
  refuse("/model/dropout", 0.1, {"dropout"});
  refuse("/model/continuing_subword_prefix", "##", {"continuing_subword_prefix", "##"});
  refuse("/normalizer", {{"type", "Lowercase"}}, {"normalizer", "Lowercase", "NFC"});
  refuse("/pre_tokenizer", {{"type", "Metaspace"}}, {"pre_tokenizer", "Metaspace", "ByteLevel"});
  refuse("/pre_tokenizer", nullptr, {"pre_tokenizer", "ByteLevel"});
  refuse("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Removed"}},
         {"Removed", "Isolated"});
  refuse("/post_processor", {{"type", "BertProcessing"}}, {"post_processor", "BertProcessing"});
  refuse("/decoder", {{"type", "WordPiece"}}, {"decoder", "WordPiece", "ByteLevel"});
  refuse("/decoder", nullptr, {"decoder", "ByteLevel"});
  refuse("/added_tokens/0/single_word", true, {"single_word"});
}

TEST(Tokenizer, NamesWhatIsBroken) {
  const auto refuse = [](const std::string& path, const Json& value,
                         std::initializer_list<std::string> texts) {
    ExpectError(ParseChanged(path, value), StatusCode::kInvalidArgument, texts);
  };
  refuse("/model", nullptr, {"model", "missing"});
  refuse("/model/vocab", Json::array(), {"vocab"});
  refuse("/model/vocab/a", -1, {"vocab", "a"});
  refuse("/model/vocab/a", 1 << 30, {"vocab", "a"});
  refuse("/model/vocab/a", 0, {"vocab", "another token"});
  refuse("/model/merges", "x", {"merges"});
  refuse("/model/merges/0", "nospace", {"merges", "nospace"});
  refuse("/model/merges/0", {"a", "\u4e00"}, {"merges", "vocabulary"});
  refuse("/model/merges/0", 7, {"merges"});
  refuse("/added_tokens", 3, {"added_tokens"});
  refuse("/added_tokens/0/id", -2, {"added_tokens[0]", "id"});
  refuse("/added_tokens/0/content", "", {"content"});
  refuse("/added_tokens/1/id", 0, {"added_tokens[1]", "twice"});
  refuse("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(("}}}, {"behavior", "Isolated"}},
         {"(("});
  refuse("/post_processor", {{"type", "TemplateProcessing"}}, {"single"});
  for (const std::string text : {"", "[]", "null", "{", "{\"model\": 3}"}) {
    ExpectError(Tokenizer::Parse(text, "tokenizer.json").status(), StatusCode::kInvalidArgument,
                {"tokenizer.json"});
  }
  ExpectError(Tokenizer::Parse("{\"model\":" + std::string(100'000, '['), "t").status(),
              StatusCode::kInvalidArgument, {"t"});
}

TEST(Tokenizer, SurvivesEveryTruncationOfItsFile) {
  const std::string text = FileOf("qwen2");
  for (size_t length = 0; length + 2 < text.size(); length += 997) {
    EXPECT_FALSE(Tokenizer::Parse(text.substr(0, length), "t").ok()) << length;
  }
}

TEST(Unicode, MapsEveryByteThereAndBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  EXPECT_EQ(FromByteLevel(ToByteLevel(bytes)), bytes);
  EXPECT_EQ(ToByteLevel(" \n"), "ĠĊ");
}

}  // namespace
}  // namespace rein::models
