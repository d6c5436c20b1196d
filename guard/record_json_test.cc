#include "guard/record_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rein::guard {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Record Example() {
  Record record{.id = "row 3", .end = Record::End::kAnswered, .answer = "good"};
  record.question = {
      .severity = Severity::kMinor, .at_or_above = {0.75, 0.25, 0.125}, .categories = {"animal_abuse"}};
  record.rounds.push_back({"what?", 0xffffffffffffffffull, "bad", NotModerated("too long")});
  record.rounds.push_back({"what?", 7, "good", {.at_or_above = {0.1, 0.01, 0.001}}});
  return record;
}

TEST(RecordJson, ComesBackAsItWas) {
  const Record record = Example();
  const auto read = RecordFromJson(json::parse(ToJson(record).dump()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read), ToJson(record));
  EXPECT_EQ(read->rounds[0].seed, 0xffffffffffffffffull);
  EXPECT_EQ(read->rounds[0].verdict.not_moderated, "too long");
  EXPECT_EQ(read->rounds[1].verdict.at_or_above[2], 0.001);
}

TEST(RecordJson, RefusesWhatIsNoRecord) {
  const auto message = [](const json& object) {
    return std::string(RecordFromJson(object).status().message());
  };
  EXPECT_THAT(message(json::array()), HasSubstr("\"id\" is not a text"));
  EXPECT_THAT(message(json(3)), HasSubstr("\"id\" is not a text"));
  const std::pair<const char*, json> wrong[] = {
      {"/id", 3},
      {"/question_verdict", "safe"},
      {"/question_verdict/severity", "Safe"},
      {"/question_verdict/at_or_above", {0.5}},
      {"/question_verdict/at_or_above/1", "0.5"},
      {"/question_verdict/categories", "animal_abuse"},
      {"/question_verdict/categories/0", 1},
      {"/question_verdict/not_moderated", 1},
      {"/rounds", 2},
      {"/rounds/0", 2},
      {"/rounds/0/seed", -1},
      {"/rounds/0/answer", nullptr},
      {"/rounds/1/verdict", nullptr},
      {"/end", "lost"},
      {"/answer", {1}},
  };
  for (const auto& [path, value] : wrong) {
    json object = ToJson(Example());
    object[json::json_pointer(path)] = value;
    EXPECT_EQ(RecordFromJson(object).status().code(), absl::StatusCode::kInvalidArgument) << path;
  }
}

}  // namespace
}  // namespace rein::guard
