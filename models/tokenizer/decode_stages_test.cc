#include "models/tokenizer/decode_stages.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/tokenizer/decoder.h"
#include "models/tokenizer/test_support.h"

namespace rein::models {
namespace {

std::string Decode(const Json& decoder, const std::vector<std::string>& tokens) {
  const Json root = {{"decoder", decoder}};
  const auto parsed = Decoder::Parse(Fields(root, "t"));
  if (!parsed.ok()) return parsed.status().ToString();
  std::string out;
  DecodeChain chain = parsed->Start(&out);
  for (const std::string& token : tokens) {
    chain.front().Text(token);
    chain.front().EndToken();
  }
  chain.front().Finish();
  return out;
}

Json Strip(int start, int stop) {
  return {{"type", "Strip"}, {"content", "_"}, {"start", start}, {"stop", stop}};
}

TEST(DecodeStages, StripTakesMarksFromBothEndsOfEachToken) {
  EXPECT_EQ(Decode(Strip(1, 0), {"__a_", "_b"}), "_a_b");
  EXPECT_EQ(Decode(Strip(0, 1), {"a__", "_b_c_"}), "a__b_c");
  EXPECT_EQ(Decode(Strip(2, 2), {"_a_"}), "a");
  EXPECT_EQ(Decode(Strip(1, 1), {"_", "__", "___"}), "_");
  EXPECT_EQ(Decode(Strip(1, 1), {""}), "");
}

TEST(DecodeStages, StripBehindFuseTakesThemFromTheWhole) {
  const Json fused = {{"type", "Sequence"}, {"decoders", {{{"type", "Fuse"}}, Strip(1, 1)}}};
  EXPECT_EQ(Decode(fused, {"_", "_a", "_", "_"}), "_a_");
  EXPECT_EQ(Decode(fused, {}), "");
}

TEST(DecodeStages, BytesThatAreNoTextBecomeAReplacementEach) {
  const Json decoder = {{"type", "ByteFallback"}};
  EXPECT_EQ(Decode(decoder, {"<0xC3>", "<0xA9>", "x"}), "éx");
  EXPECT_EQ(Decode(decoder, {"<0x41>", "<0xC3>", "x"}), "\xEF\xBF\xBD\xEF\xBF\xBDx");
  EXPECT_EQ(Decode(decoder, {"<0xG1>", "<0x1>", "<0x041>"}), "<0xG1><0x1><0x041>");
}

TEST(DecodeStages, MetaspaceDropsTheMarksOfTheFirstToken) {
  Json decoder = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}};
  EXPECT_EQ(Decode(decoder, {"▁a▁b", "▁c"}), "ab c");
  decoder["prepend_scheme"] = "never";
  EXPECT_EQ(Decode(decoder, {"▁a▁b", "▁c"}), " a b c");
}

TEST(DecodeStages, WordEndsBecomeSpacesButTheLast) {
  EXPECT_EQ(Decode({{"type", "BPEDecoder"}, {"suffix", "</w>"}}, {"a", "b</w>", "c</w>"}), "ab c");
}

TEST(DecodeStages, ByteLevelTakesATokenOutsideItsMapAsText) {
  EXPECT_EQ(Decode({{"type", "ByteLevel"}}, {"ĠÃ", "©", "日", "Ã"}), " é日\xEF\xBF\xBD");
}

TEST(DecodeStages, ReplaceActsWithinTokens) {
  const Json decoder = {{"type", "Replace"}, {"pattern", {{"String", "ab"}}}, {"content", "-"}};
  EXPECT_EQ(Decode(decoder, {"a", "b", "abab"}), "ab--");
}

TEST(DecodeStages, TokensAreJoinedBySpacesWithoutADecoder) {
  EXPECT_EQ(Decode(nullptr, {"a", "", "b"}), "a  b");
  EXPECT_EQ(Decode(nullptr, {}), "");
}

}  // namespace
}  // namespace rein::models
