#include "models/tokenizer/tokenizer.h"

#include <string>
#include <thread>
#include <vector>

#include "models/tokenizer/stream_decoder.h"
#include "models/tokenizer/test_support.h"

namespace rein::models {
namespace {

std::string DecodeStreamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                           bool skip_special_tokens) {
  StreamDecoder decoder(tokenizer, skip_special_tokens);
  std::string text;
  for (const int32_t id : ids) text += decoder.Push(id);
  return text + decoder.Flush();
}

class EveryTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(EveryTokenizer, GivesTheIdsAndTextsOfTheReference) {
  const Tokenizer tokenizer = LoadTokenizer(GetParam());
  const Json cases = Json::parse(*ReadFile(Fixture("tokenizers/" + GetParam()) / "cases.json"));
  ASSERT_GT(cases.size(), 20u);
  for (const Json& test : cases) {
    const auto ids = test.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.Decode(ids, false), test.at("decoded").get<std::string>());
    EXPECT_EQ(DecodeStreamed(tokenizer, ids, false), test.at("decoded").get<std::string>());
    if (!test.contains("text")) continue;
    const auto text = test.at("text").get<std::string>();
    EXPECT_EQ(tokenizer.Encode(text, false), ids) << text;
    EXPECT_EQ(tokenizer.Encode(text, true), test.at("ids_with_special").get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer.Decode(ids, true), test.at("decoded_without_special").get<std::string>()) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, EveryTokenizer,
                         testing::Values("gpt2", "qwen2", "llama3", "prefix_space", "smollm2", "llama_legacy",
                                         "llama_metaspace", "metaspace_split", "word_end"),
                         [](const auto& info) { return info.param; });

TEST(Tokenizer, TakesBrokenUtf8AsReplacementCharacters) {
  const Tokenizer tokenizer = LoadTokenizer("gpt2");
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode("a\xff"
                                              "b\xe6\x97",
                                              false),
                             false),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

TEST(Tokenizer, EncodesAMegabyteOfOneWordInTime) {
  const Tokenizer tokenizer = LoadTokenizer("gpt2");
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text, false), false), text);
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = LoadTokenizer("gpt2");
  EXPECT_EQ(tokenizer.TokenOf(tokenizer.IdOf("<image>")), "<image>");
  EXPECT_TRUE(tokenizer.IsSpecial(tokenizer.IdOf("</s>")));
  EXPECT_FALSE(tokenizer.IsSpecial(tokenizer.IdOf("a")));
  EXPECT_EQ(tokenizer.IdOf("no such token"), -1);
  EXPECT_EQ(tokenizer.TokenOf(-1), "");
  EXPECT_EQ(tokenizer.TokenOf(1 << 30), "");
  EXPECT_EQ(tokenizer.Decode({-5, 1 << 30}, false), "");
}

// The text after a special token gets SentencePiece's space again: what these models were trained on.
TEST(Tokenizer, LegacyLlamaPutsASpaceBehindASpecialToken) {
  const Tokenizer tokenizer = LoadTokenizer("llama_legacy");
  const int32_t image = tokenizer.IdOf("<image>"), space = tokenizer.IdOf("▁");
  const std::vector<int32_t> ids = tokenizer.Encode("<image>\nW", false);
  ASSERT_GE(ids.size(), 3u);
  EXPECT_EQ(std::vector<int32_t>(ids.begin(), ids.begin() + 3),
            (std::vector<int32_t>{image, space, tokenizer.IdOf("<0x0A>")}));
}

TEST(Tokenizer, NewLlamaPutsASpaceBeforeTheFirstTextOnly) {
  const Tokenizer tokenizer = LoadTokenizer("llama_metaspace");
  const std::vector<int32_t> ids = tokenizer.Encode("<image>\nW", false);
  ASSERT_GE(ids.size(), 2u);
  EXPECT_EQ(ids[1], tokenizer.IdOf("<0x0A>"));
}

TEST(Tokenizer, ThreadsShareIt) {
  const Tokenizer tokenizer = LoadTokenizer("qwen2");
  const std::string text = "The picture shows a red circle, it's 42 cafe\u0301.";
  const std::vector<int32_t> expected = tokenizer.Encode(text, true);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) count += tokenizer.Encode(text, true) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

// A word cache that is full starts again; what it gives stays the same.
TEST(Tokenizer, GivesTheSameWhenItsCacheOverflows) {
  const Tokenizer tokenizer = LoadTokenizer("gpt2");
  const std::vector<int32_t> expected = tokenizer.Encode(" circle 17", false);
  std::string words;
  for (int i = 0; i < 100'000; ++i) absl::StrAppend(&words, " ", absl::Hex(i * 2654435761u));
  const std::vector<int32_t> ids = tokenizer.Encode(words, false);
  EXPECT_EQ(tokenizer.Decode(ids, false), words);
  EXPECT_EQ(tokenizer.Encode(" circle 17", false), expected);
}

TEST(Tokenizer, EncodesTheLongestRunsInTime) {
  for (const std::string name : {"qwen2", "llama_legacy", "metaspace_split", "word_end"}) {
    const Tokenizer tokenizer = LoadTokenizer(name);
    for (const std::string unit : {" ", "a", "\n", "\u0301", "<", "<image>", "'", "1"}) {
      std::string text;
      while (text.size() < (1 << 19)) text += unit;
      tokenizer.Decode(tokenizer.Encode(text, true), false);
    }
  }
}

}  // namespace
}  // namespace rein::models
