#include "models/tokenizer/regex.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/test_support.h"
#include "models/tokenizer/pattern.h"

namespace rein::models {
namespace {

// Matches in brackets.
std::string Marked(const std::string& pattern, const std::string& text) {
  const auto regex = Regex::Compile(pattern);
  if (!regex.ok()) return regex.status().ToString();
  Spans spans;
  regex->Find(text, spans);
  std::string marked;
  for (const Span& span : spans) {
    const std::string part = text.substr(span.begin, span.end - span.begin);
    marked += span.match ? "[" + part + "]" : part;
  }
  return marked;
}

TEST(Regex, FindsMatchesAndKeepsWhatIsBetween) {
  EXPECT_EQ(Marked("b+", "abbcb"), "a[bb]c[b]");
  EXPECT_EQ(Marked("b+", ""), "");
  EXPECT_EQ(Marked("x", "abc"), "abc");
}

TEST(Regex, AnEmptyMatchDoesNotFollowAnotherOne) {
  EXPECT_EQ(Marked("x*", "axxb"), "[]a[xx]b[]");
  EXPECT_EQ(Marked("x*", "é"), "[]é[]");
}

TEST(Regex, ReadsPatternsAsOniguruma) {
  EXPECT_EQ(Marked("\\s", "a \u180e\u3000\u0085"),
            "a[ ]\u180e[\u3000][\u0085]");  // U+180E is no space any more
  EXPECT_EQ(Marked("[^\\S]", "a b"), "a[ ]b");
  EXPECT_EQ(Marked("\\v", "\n\v"), "\n[\v]");
  EXPECT_EQ(Marked("^a$", "a\na"), "[a]\n[a]");
  EXPECT_EQ(Marked("a.", "a\nab"), "a\n[ab]");
  EXPECT_EQ(Marked("(?i)'S|é", "'ſ É"), "['ſ] [É]");
  EXPECT_EQ(Marked("[]a]+", "]a["), "[]a][");
  EXPECT_EQ(Marked("\\x{1F600}|\\x41", "A😀"), "[A][😀]");
}

TEST(Regex, KnowsLettersDigitsAndMarksOfUnicode16) {
  EXPECT_EQ(Marked("\\p{L}+", "x\U00031350\u1C89-"), "[x\U00031350\u1C89]-");
  EXPECT_EQ(Marked("[\\p{N}]", "\U0001E4F0"), "[\U0001E4F0]");
  EXPECT_EQ(Marked("[^\\p{L}]", "\U000105C0"), "\U000105C0");
  EXPECT_EQ(Marked("\\d", "\U00010D40²"), "[\U00010D40]²");
}

TEST(Regex, ALongMatchNeedsNoStack) {
  const std::string text(100'000, 'a');
  EXPECT_TRUE(Marked("(?:a|b)+", text) == "[" + text + "]");
}

TEST(Pattern, NamesThePlaceOfWhatItRefuses) {
  ExpectError(ToPcre2("ab\\w").status(), absl::StatusCode::kUnimplemented, {"ab\\w", "\"\\w\"", "byte 2"});
}

}  // namespace
}  // namespace rein::models
