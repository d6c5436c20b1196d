#include "models/json.h"

#include "absl/strings/str_cat.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

std::string ObjectOf(int keys) {
  std::string text = "{";
  for (int i = 0; i < keys; ++i) absl::StrAppend(&text, i > 0 ? "," : "", "\"k", i, "\":0");
  return text + "}";
}

TEST(ParseJsonObject, RefusesMoreKeysThanCanBeLookedUpInGoodTime) {
  EXPECT_TRUE(ParseJsonObject(ObjectOf(1 << 14), "c.json").ok());
  const std::string half = ObjectOf(1 << 13);
  EXPECT_TRUE(ParseJsonObject("{\"a\":[" + half + "," + half + "," + half + "]}", "c.json").ok());
  for (const std::string& text :
       {ObjectOf((1 << 14) + 1), "{\"a\":[" + half + "," + half + "," + half + "," + half + "]}"}) {
    ExpectError(ParseJsonObject(text, "c.json").status(), StatusCode::kInvalidArgument,
                {"c.json", "more keys than", "16384"});
  }
}

TEST(ParseJsonObject, RefusesDeepNesting) {
  const auto nested = [](size_t levels) {
    return "{\"a\": " + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  EXPECT_TRUE(ParseJsonObject(nested(64), "c.json").ok());
  ExpectError(ParseJsonObject(nested(66), "c.json").status(), StatusCode::kInvalidArgument,
              {"c.json", "more than 64 levels deep"});
}

TEST(ParseJsonObject, RefusesWhatIsNoObject) {
  for (const std::string text : {"", "[]", "{", "1", "{} {}", "{\"a\": \"\xff\"}"}) {
    ExpectError(ParseJsonObject(text, "c.json").status(), StatusCode::kInvalidArgument,
                {"c.json", "not a JSON object"});
  }
}

}  // namespace
}  // namespace rein::models
