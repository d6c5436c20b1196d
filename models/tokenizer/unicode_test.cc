#include "models/tokenizer/unicode.h"

#include <gtest/gtest.h>

#include <string>

#include "models/tokenizer/newer_unicode.h"

namespace rein::models {
namespace {

TEST(Unicode, MapsEveryByteThereAndBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  EXPECT_EQ(FromByteLevel(ToByteLevel(bytes)), bytes);
  EXPECT_EQ(ToByteLevel(" \n"), "ĠĊ");
  EXPECT_EQ(FromByteLevel("Ġ日"), "Ġ日");
}

TEST(Unicode, ReplacesBrokenPiecesOnceEach) {
  EXPECT_EQ(SanitizeUtf8("a\xff\xfe"), "a\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(SanitizeUtf8("\xF0\x9F\x99"), "\xEF\xBF\xBD");                          // cut off
  EXPECT_EQ(SanitizeUtf8("\xE0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // too long a form
  EXPECT_EQ(SanitizeUtf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
}

TEST(Unicode, CompleteUtf8LeavesOutTheStartOfACharacter) {
  const std::string smile = "\xF0\x9F\x99\x82";
  for (size_t length = 1; length <= 3; ++length) EXPECT_EQ(CompleteUtf8("a" + smile.substr(0, length)), "a");
  EXPECT_EQ(CompleteUtf8("a" + smile), "a" + smile);
  EXPECT_EQ(CompleteUtf8("a\x82\x82\x82\x82"), "a\x82\x82\x82\x82");
  EXPECT_EQ(CompleteUtf8(""), "");
}

TEST(Unicode, NormalizesWithTheTablesOfUnicode9) {
  EXPECT_EQ(Normalize(NormalForm::kC, "e\u0301"), "é");
  EXPECT_EQ(Normalize(NormalForm::kD, "é"), "e\u0301");
  EXPECT_EQ(Normalize(NormalForm::kKC, "ﬁ²"), "fi2");
  EXPECT_EQ(Normalize(NormalForm::kKD, "ﬁé"), "fie\u0301");
  EXPECT_EQ(Normalize(NormalForm::kKC, "\u32FF"), "\u32FF");  // of Unicode 12.1
}

TEST(Unicode, ClassifiesAsTheReferenceDoes) {
  EXPECT_TRUE(IsNumeric('7') && IsNumeric(0xB2) && IsNumeric(0x10D40) && IsNumeric(0x11DE0));
  EXPECT_FALSE(IsNumeric('a') || IsNumeric(0x31350));
  EXPECT_TRUE(IsPunctuation('$') && IsPunctuation(0x166D) && IsPunctuation(0x2014));
  EXPECT_FALSE(IsPunctuation(0x2E43) || IsPunctuation('a'));
  EXPECT_TRUE(IsWordChar('_') && IsWordChar(0x31350) && IsWordChar(0x200D) && IsWordChar(0x301));
  EXPECT_FALSE(IsWordChar('-') || IsWordChar(0xB2) || IsWordChar(' '));
}

TEST(NewerUnicode, FindsTheEndsOfItsRanges) {
  EXPECT_EQ(NewerCategory(0x31350), "Lo");
  EXPECT_EQ(NewerCategory(0x323AF), "Lo");
  EXPECT_EQ(NewerCategory(0x323B0), "");
  EXPECT_EQ(NewerCategory(0), "");
  EXPECT_EQ(NewerMembers("Zs"), "");
}

}  // namespace
}  // namespace rein::models
