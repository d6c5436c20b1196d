// Files that are refused, and how.
#include <gtest/gtest.h>

#include <string>

#include "models/tokenizer/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

void ExpectUnsupported(const std::string& path, const Json& value, std::initializer_list<std::string> texts) {
  ExpectError(ParseChanged("gpt2", path, value).status(), StatusCode::kUnimplemented, texts);
}

void ExpectBroken(const std::string& path, const Json& value, std::initializer_list<std::string> texts) {
  ExpectError(ParseChanged("gpt2", path, value).status(), StatusCode::kInvalidArgument, texts);
}

Json Split(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}

TEST(BadFile, NamesComponentsThatAreNotSupported) {
  ExpectUnsupported("/model/type", "Unigram", {"model", "Unigram", "BPE"});
  ExpectUnsupported("/model/type", "WordPiece", {"model", "WordPiece", "BPE"});
  ExpectUnsupported("/model/dropout", 0.1, {"dropout"});
  ExpectUnsupported("/normalizer", {{"type", "Lowercase"}}, {"normalizer", "Lowercase", "NFC"});
  ExpectUnsupported("/pre_tokenizer", {{"type", "UnicodeScripts"}},
                    {"pre_tokenizer", "UnicodeScripts", "ByteLevel"});
  ExpectUnsupported("/post_processor", {{"type", "Other"}},
                    {"post_processor", "Other", "TemplateProcessing"});
  ExpectUnsupported("/decoder", {{"type", "WordPiece"}}, {"decoder", "WordPiece", "ByteLevel"});
}

TEST(BadFile, NamesOptionsThatAreNotSupported) {
  Json split = Split("a");
  split["behavior"] = "Other";
  ExpectUnsupported("/pre_tokenizer", split, {"pre_tokenizer", "Other", "Isolated"});
  ExpectUnsupported("/pre_tokenizer",
                    {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}},
                    {"prepend_scheme", "last", "first"});
  const Json roberta = {{"type", "RobertaProcessing"}, {"sep", {"</s>", 2}}, {"cls", {"<s>", 1}}};
  ExpectUnsupported("/post_processor", {{"type", "Sequence"}, {"processors", {roberta, roberta}}},
                    {"post_processor", "RobertaProcessing"});
}

TEST(BadFile, RefusesAStripBeforeATextThatKnowsItsStart) {
  Json json = Json::parse(TokenizerFileOf("llama_metaspace"));
  json["normalizer"] = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}};
  ExpectError(Tokenizer::Parse(json.dump(), "t").status(), StatusCode::kUnimplemented,
              {"Metaspace", "first"});
}

TEST(BadFile, NamesPatternsWhoseMeaningDiffers) {
  for (const std::string pattern :
       {"\\w+", "\\b", "[a[b]]", "[a&&b]", "[[:punct:]]", "\\p{Han}", "\\P{L}", "(*UTF)", "a{,2}", "a{1,2}+",
        "(?m:.)", "(?C1)", "\\h", "\\K", "\\g<1>", "(?R)", "\\xE9", "\\"}) {
    ExpectUnsupported("/pre_tokenizer", Split(pattern), {"pattern", "not supported"});
  }
  for (const std::string pattern : {"((", "[a", "*", "a**", "(?<=a+)b"}) {
    ExpectBroken("/pre_tokenizer", Split(pattern), {"pre_tokenizer", "pattern"});
  }
  ExpectBroken("/pre_tokenizer", Split(std::string(100'000, 'a')), {"bytes"});
  ExpectBroken("/pre_tokenizer", Split(std::string(5'000, '(') + std::string(5'000, ')')), {"pre_tokenizer"});
}

TEST(BadFile, NamesWhatIsWrongInTheVocabulary) {
  ExpectBroken("/model", nullptr, {"model", "missing"});
  ExpectBroken("/model", 3, {"model"});
  ExpectBroken("/model/vocab", Json::array(), {"vocab"});
  ExpectBroken("/model/vocab", nullptr, {"vocab"});
  for (const Json& value : {Json(-1), Json(1 << 30), Json("1"), Json(1.5), Json::object(), Json::array({1}),
                            Json(nullptr), Json(uint64_t{1} << 40)}) {
    ExpectBroken("/model/vocab/a", value, {"vocab", "\"a\""});
  }
  ExpectBroken("/model/vocab/a", 0, {"vocab", "another token"});
  ExpectBroken("/model/unk_token", "nowhere", {"unk_token", "nowhere"});
  ExpectError(Tokenizer::Parse(R"({"model":{"vocab":{"a":0,"a":1},"merges":[]}})", "t").status(),
              StatusCode::kInvalidArgument, {"\"a\"", "twice"});
}

TEST(BadFile, NamesWhatIsWrongInTheMerges) {
  ExpectBroken("/model/merges", "x", {"merges"});
  ExpectBroken("/model/merges/0", "nospace", {"merges", "nospace"});
  ExpectBroken("/model/merges/0", "a b c", {"merges", "a b c"});
  ExpectBroken("/model/merges/0", {"a", "\u4e00"}, {"merges", "vocabulary"});
  ExpectBroken("/model/merges/0", {"a"}, {"merges"});
  ExpectBroken("/model/merges/0", 7, {"merges"});
  ExpectBroken("/model/continuing_subword_prefix", "##", {"merges", "vocabulary"});
  ExpectBroken("/model/continuing_subword_prefix", std::string(1000, '#'),
               {"continuing_subword_prefix", "1000"});
}

TEST(BadFile, NamesWhatIsWrongInTheAddedTokens) {
  ExpectBroken("/added_tokens", 3, {"added_tokens"});
  ExpectBroken("/added_tokens/0", 3, {"added_tokens[0]"});
  ExpectBroken("/added_tokens/0/id", -2, {"added_tokens[0]", "id"});
  ExpectBroken("/added_tokens/0/id", 1 << 25, {"added_tokens[0]", "id"});
  ExpectBroken("/added_tokens/0/content", "", {"content"});
  ExpectBroken("/added_tokens/0/content", std::string(5000, 'x'), {"content"});
  ExpectBroken("/added_tokens/0/lstrip", "yes", {"lstrip"});
  ExpectBroken("/added_tokens/1/id", 0, {"added_tokens[1]", "twice"});
  ExpectBroken("/added_tokens/1/content", "<pad>", {"added_tokens[1]", "twice"});
  // What the vocabulary has otherwise.
  ExpectBroken("/added_tokens/0/content", "new", {"added_tokens", "new", "<pad>"});
  ExpectBroken("/added_tokens/0/id", 1000, {"added_tokens", "<pad>", "1000"});
}

TEST(BadFile, NamesWhatIsWrongInTheStages) {
  ExpectBroken("/normalizer", "NFC", {"normalizer"});
  ExpectBroken("/normalizer", Json::object(), {"normalizer", "type"});
  ExpectBroken("/normalizer", {{"type", "Sequence"}, {"normalizers", 3}}, {"normalizers"});
  ExpectBroken("/normalizer", {{"type", "Sequence"}, {"normalizers", {3}}}, {"normalizers"});
  ExpectBroken("/normalizer", {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", ""}},
               {"pattern"});
  ExpectBroken("/pre_tokenizer", {{"type", "Split"}, {"behavior", "Isolated"}}, {"pattern"});
  ExpectBroken("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}}, {"replacement", "ab"});
  ExpectBroken("/decoder", {{"type", "Strip"}, {"content", ""}, {"start", 1}, {"stop", 0}}, {"content"});
  ExpectBroken("/decoder", {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}}, {"start"});
  ExpectBroken("/decoder", {{"type", "BPEDecoder"}, {"suffix", ""}}, {"suffix"});
}

TEST(BadFile, NamesWhatIsWrongInThePostProcessor) {
  const auto with = [](const Json& single, const Json& specials) {
    return Json({{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", specials}});
  };
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json special = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  ExpectBroken("/post_processor", {{"type", "TemplateProcessing"}}, {"single"});
  ExpectBroken("/post_processor", with(Json::array({text, special}), Json::object()), {"<s>"});
  ExpectBroken("/post_processor", with(Json::array({text, special}), {{"<s>", {{"ids", {100000}}}}}),
               {"100000"});
  ExpectBroken("/post_processor", with(Json::array({text, special}), {{"<s>", {{"ids", {-1}}}}}), {"-1"});
  ExpectBroken("/post_processor", with(Json::array({special}), {{"<s>", {{"ids", {1}}}}}),
               {"single", "0 times"});
  ExpectBroken("/post_processor", with(Json::array({text, text}), Json::object()), {"single", "2 times"});
  ExpectBroken("/post_processor", with(Json::array({{{"Sequence", {{"id", "B"}}}}}), Json::object()),
               {"\"B\""});
  ExpectBroken("/post_processor", {{"type", "BertProcessing"}, {"sep", {"</s>", 2}}, {"cls", {"<s>"}}},
               {"cls"});
}

TEST(BadFile, RefusesWhatIsNoObject) {
  for (const std::string text : {"", "[]", "null", "{", "{\"model\": 3}", "\xff", "{\"a\":\"\xff\"}"}) {
    ExpectError(Tokenizer::Parse(text, "tokenizer.json").status(), StatusCode::kInvalidArgument,
                {"tokenizer.json"});
  }
}

TEST(BadFile, RefusesDeepNesting) {
  for (const std::string open :
       {"[", "{\"model\":", "{\"type\":\"Sequence\",\"normalizers\":[", "{\"vocab\":"}) {
    std::string text = "{\"model\":";
    for (int i = 0; i < 100'000; ++i) text += open;
    ExpectError(Tokenizer::Parse(text, "t").status(), StatusCode::kInvalidArgument, {"t"});
  }
  Json sequence = {{"type", "NFC"}};
  for (int i = 0; i < 40; ++i) sequence = {{"type", "Sequence"}, {"normalizers", {sequence}}};
  ExpectBroken("/normalizer", sequence, {"deep"});
}

TEST(BadFile, RefusesWhatIsTooMuch) {
  ExpectError(Tokenizer::Parse(std::string(size_t{100} << 20, ' '), "t").status(),
              StatusCode::kResourceExhausted, {"t", "104857600"});
  Json keys = Json::object();
  std::string text = "{\"model\":{";
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&text, "\"k", i, "\":0,");
  ExpectError(Tokenizer::Parse(text + "\"x\":0}}", "t").status(), StatusCode::kInvalidArgument, {"keys"});
  ExpectBroken("/model/vocab/" + std::string(100'000, 'x'), 419, {"vocab", "bytes"});
  Json sequence = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  for (int i = 0; i < 100; ++i) sequence["normalizers"].push_back({{"type", "NFC"}});
  ExpectBroken("/normalizer", sequence, {"normalizer", "64"});
}

TEST(BadFile, ATextCannotGrowWithoutEnd) {
  Json sequence = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  for (int i = 0; i < 60; ++i) {
    sequence["normalizers"].push_back(
        {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}});
  }
  const auto tokenizer = ParseChanged("gpt2", "/normalizer", sequence);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_LT(tokenizer->Encode("aaaa", false).size(), 100'000u);
}

TEST(BadFile, APatternThatBacktracksWithoutEndCutsNothing) {
  const auto tokenizer = ParseChanged(
      "gpt2", "/pre_tokenizer",
      {{"type", "Sequence"},
       {"pretokenizers", {Split("(a+)+$|(?:a?){30}a{30}b"), {{"type", "ByteLevel"}, {"use_regex", false}}}}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::string text = std::string(5000, 'a') + "!";
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, false), false), " " + text);
}

TEST(BadFile, EveryTruncationIsRefused) {
  for (const std::string name : {"qwen2", "llama_legacy"}) {
    const std::string text = TokenizerFileOf(name);
    for (size_t length = 0; length + 2 < text.size(); length += 499) {
      EXPECT_FALSE(Tokenizer::Parse(text.substr(0, length), "t").ok()) << length;
    }
  }
}

}  // namespace
}  // namespace rein::models
