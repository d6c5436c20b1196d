#include "models/tokenizer/stream_decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "models/tokenizer/test_support.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

class StreamedTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(StreamedTokenizer, RandomTokensGiveTheTextOfAllAtOnceInWholeCharacters) {
  const Tokenizer tokenizer = LoadTokenizer(GetParam());
  std::mt19937 random(7);
  StreamDecoder decoder(tokenizer, /*skip_special_tokens=*/false);
  for (int round = 0; round < 300; ++round) {
    std::vector<int32_t> ids(random() % 40);
    std::string text;
    for (int32_t& id : ids) {
      id = static_cast<int32_t>(random() % static_cast<uint32_t>(tokenizer.size() + 3)) - 1;
      const std::string part = decoder.Push(id);
      EXPECT_EQ(SanitizeUtf8(part), part) << "seed 7, round " << round;
      text += part;
    }
    EXPECT_EQ(text + decoder.Flush(), tokenizer.Decode(ids, false)) << "seed 7, round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(StreamDecoder, StreamedTokenizer,
                         testing::Values("gpt2", "llama_legacy", "metaspace_split", "word_end"),
                         [](const auto& info) { return info.param; });

TEST(StreamDecoder, HoldsACharacterBackUntilItIsComplete) {
  const Tokenizer tokenizer = LoadTokenizer("gpt2");
  StreamDecoder decoder(tokenizer, false);
  const std::vector<int32_t> ids = tokenizer.Encode("\xF0\x9F\x99\x82", false);
  ASSERT_GE(ids.size(), 2u);
  for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(decoder.Push(ids[i]), "");
  EXPECT_EQ(decoder.Push(ids.back()), "\xF0\x9F\x99\x82");
  EXPECT_EQ(decoder.Flush(), "");
}

TEST(StreamDecoder, FlushesAnIncompleteCharacterAsReplacement) {
  const Tokenizer tokenizer = LoadTokenizer("llama_legacy");
  StreamDecoder decoder(tokenizer, false);
  EXPECT_EQ(decoder.Push(tokenizer.IdOf("<0xE6>")), "");
  EXPECT_EQ(decoder.Push(tokenizer.IdOf("<0x97>")), "");
  EXPECT_EQ(decoder.Flush(),
            "\xEF\xBF\xBD\xEF\xBF\xBD");  // one for each byte, as the decoder ByteFallback does
}

TEST(StreamDecoder, BeginsAnewAfterFlush) {
  const Tokenizer tokenizer = LoadTokenizer("llama_legacy");
  StreamDecoder decoder(tokenizer, true);
  const int32_t a = tokenizer.IdOf("▁a");
  ASSERT_GE(a, 0);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(decoder.Push(tokenizer.IdOf("<s>")), "");
    EXPECT_EQ(decoder.Push(a), "a");
    EXPECT_EQ(decoder.Push(a), " a");
    EXPECT_EQ(decoder.Flush(), "");
  }
}

}  // namespace
}  // namespace rein::models
