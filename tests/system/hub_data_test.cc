// BeaverTails-V as it comes from its hub, with photographs (made by us): readers, trainers and evaluations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const char kHub[] = REIN_SOURCE_DIR "/tests/fixtures/data/beavertails_v_hub";

// `rein ARGUMENTS...`, which must succeed.
std::string Rein(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "rein");
  const CommandResult result = RunCommand(arguments);
  EXPECT_EQ(result.exit_code, 0) << arguments[1] << " " << arguments[2] << ": " << result.err;
  return result.out;
}

json ReadJson(const fs::path& file) { return json::parse(Bytes(file), nullptr, /*allow_exceptions=*/false); }

class HubData : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    world_.folder = TinyWorld().folder / absl::StrCat("hub_", GetParam());
    fs::remove_all(world_.folder);
    fs::create_directories(world_.folder);
    Rein({"data", "scenes", "--out", At("data"), "--family", GetParam(), "--train-rows", "1",
          "--evaluation-rows", "1"});
  }
  std::string At(const std::string& name) const { return (world_.folder / name).string(); }
  void Train(const std::string& kind, const std::string& model) {
    TrainBarely(world_, kind, model, kHub, kind);
  }
  void Answer(const std::string& model, const std::string& output) {
    Rein({"eval", "answers", "--model", At("models/" + model), "--data", kHub, "--split", "evaluation",
          "--output", At(output), "--max-tokens", "6", "--reward", At("models/reward"), "--cost",
          At("models/cost")});
  }

  World world_;
};

// Rows that users get an answer to, or are told that they get none.
void ExpectGuarded(const fs::path& output, size_t questions) {
  const std::vector<json> records = Lines(output / "records.jsonl");
  ASSERT_EQ(records.size(), questions);
  for (const json& record : records) {
    EXPECT_TRUE(record["answer"].is_string()) << record;
    EXPECT_FALSE(record["severity"].get<std::string>().empty()) << record;
    ASSERT_FALSE(record["rounds"].empty()) << record;
    EXPECT_FALSE(record["rounds"][0]["verdict"].contains("not_moderated")) << record;
  }
  const json summary = ReadJson(output / "guardrail.json");
  EXPECT_EQ(summary["questions"], questions);
  EXPECT_EQ(summary["questions_not_moderated"], 0);
  EXPECT_EQ(summary["rounds"][0]["generated"], questions);
  EXPECT_FALSE(summary.contains("synthetic"));
}

TEST_P(HubData, GoesThroughReadersTrainersAndEvaluations) {
  const json held = json::parse(Rein({"data", "inspect", kHub, "--pictures", "decode", "--json"}));
  EXPECT_EQ(held["kept"], 20);
  EXPECT_EQ(held["formats"], json({{"beavertails-v", 4}}));
  EXPECT_EQ(held["pictures"]["sizes"]["640 x 480 jpeg"], 2);

  Train("sft", "data/base");
  for (const char* kind : {"reward", "cost", "dpo", "guard"}) Train(kind, "models/sft");
  const json guard = ReadJson(world_.folder / "models/guard/guard_config.json");
  EXPECT_GT(guard["measured"]["questions"], 0);
  EXPECT_GT(guard["measured"]["answers"], 0);

  Rein({"guard", "run", "--guard", At("models/guard"), "--policy", At("models/sft"), "--data", kHub,
        "--split", "evaluation", "--output", At("guardrail"), "--refuse-at", "never", "--rounds", "2",
        "--max-tokens", "6"});
  ExpectGuarded(world_.folder / "guardrail", 8);

  Answer("sft", "sft.jsonl");
  Answer("dpo", "dpo.jsonl");
  const std::vector<std::string> lines =
      absl::StrSplit(Bytes(world_.folder / "sft.jsonl"), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 8u);
  for (const std::string& text : lines) {
    const json line = json::parse(text);
    EXPECT_TRUE(line["answer"].is_string() && line["reward"].is_number() && line["cost"].is_number()) << line;
    EXPECT_TRUE(fs::exists(world_.folder / line["image"].get<std::string>())) << line;
    EXPECT_FALSE(line["severity"].get<std::string>().empty()) << line;
  }

  const std::string report = Rein({"eval", "report", "--answers", absl::StrCat("SFT=", At("sft.jsonl")),
                                   "--answers", absl::StrCat("DPO=", At("dpo.jsonl")), "--judge", "scores",
                                   "--output", At("report"), "--resamples", "200"});
  EXPECT_THAT(report, AllOf(HasSubstr("8 of 8 judged"), HasSubstr("violence_and_physical_harm")));
  const json models = ReadJson(world_.folder / "report/report.json")["models"];
  ASSERT_EQ(models.size(), 2u);
  for (const json& model : models) {
    EXPECT_EQ(model["harmful"]["judged"], 8);
    EXPECT_EQ(model["categories"].size(), 2u);
    EXPECT_TRUE(model["all"]["violation_rate"]["mean"].is_number());
  }
  EXPECT_THAT(Bytes(world_.folder / "report/report.html"), HasSubstr("data:image/jpeg;base64,"));

  Rein({"eval", "pairs", "--answers", At("dpo.jsonl"), "--base", At("sft.jsonl"), "--judge", "scores",
        "--output", At("pairs"), "--resamples", "200"});
  const json pairs = ReadJson(world_.folder / "pairs/evaluation.json");
  EXPECT_EQ(pairs["answers"]["paired"], 8);
  EXPECT_EQ(pairs["all"]["judged"], 8);
  EXPECT_EQ(pairs["categories"].size(), 2u);
}

// The first scales every picture to one size, the second takes them in theirs.
INSTANTIATE_TEST_SUITE_P(Families, HubData, testing::Values("llava", "qwen2_vl"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace rein::system_test
