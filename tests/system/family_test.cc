// The whole job and the offline verbs, once for every model family.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/system/pictures.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;

struct FamilyCase {
  const char* name;
  const char*
      thin_picture;  // what is said of one of 1 x 10,000 pixels; empty: it is taken, as in transformers
};

class Family : public testing::TestWithParam<FamilyCase> {
 protected:
  // What a verb prints for the model in `folder`.
  static std::string Verb(std::vector<std::string> arguments, const fs::path& folder,
                          const std::vector<std::string>& more) {
    arguments.insert(arguments.begin(), "rein");
    arguments.insert(arguments.end(), {"--model", folder.string()});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = RunCommand(arguments);
    EXPECT_EQ(result.exit_code, 0) << arguments[1] << ": " << result.err;
    return result.out;
  }
};

void ExpectEveryStepToUseAllSamples(const fs::path& run, size_t steps) {
  const auto metrics = Metrics(run);
  ASSERT_EQ(metrics.size(), steps);
  for (const auto& line : metrics) {
    EXPECT_EQ(line["dropped"], 0) << line;
    EXPECT_LT(line["logprob_gap"].get<double>(), 1e-3) << line;
  }
}

TEST_P(Family, TrainsAndItsPolicyServesEveryVerb) {
  const World world = FamilyWorld(GetParam().name);
  Job job(absl::StrCat("family_", GetParam().name), {"steps=3"}, world.job);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectEveryStepToUseAllSamples(job.folder(), 3);
  const fs::path policy = job.folder() / "policy";
  EXPECT_EQ(nlohmann::json::parse(Bytes(policy / "config.json"))["model_type"], GetParam().name);
  const double parameters = static_cast<double>(fs::file_size(policy / "model.safetensors")) / 4;
  EXPECT_NEAR(parameters, 5e5, 1e5) << "about half a million";

  const std::vector<std::string> asked = {"--image", PictureFile(world, 0).string(), "--prompt",
                                          "what is this?"};
  const std::string logits = (world.folder / "logits.safetensors").string();
  EXPECT_THAT(Verb({"logits", "--out", logits}, policy, asked), HasSubstr("logits ["));
  Verb({"generate", "--greedy", "--max-tokens", "4"}, policy, asked);
  double score = 0;
  const std::string printed = Verb({"score", "--response", "this is a red circle"}, world.cost, asked);
  EXPECT_TRUE(absl::SimpleAtod(printed, &score)) << printed;
  const fs::path table = world.folder / "evaluation.json";
  const CommandResult evaluated =
      RunCommand({"rein", "eval", "scenes", "--data", (world.folder / "data/evaluation.parquet").string(),
                  "--model", absl::StrCat("policy=", policy.string()), "--out", table.string()});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(nlohmann::json::parse(Bytes(table))["models"][0]["ground_truth"]["prompts"], 40);

  const fs::path thin = world.folder / "thin.png";
  std::ofstream(thin) << GreyPng(1, 10000);
  const CommandResult answered =
      RunCommand({"rein", "generate", "--model", world.sft.string(), "--image", thin.string(), "--prompt",
                  "what is this?", "--max-tokens", "4"});
  const std::string refusal = GetParam().thin_picture;
  EXPECT_EQ(answered.exit_code, refusal.empty() ? 0 : 1) << answered.err;
  EXPECT_THAT(answered.err, HasSubstr(refusal));
}

INSTANTIATE_TEST_SUITE_P(All, Family,
                         testing::Values(FamilyCase{"llava", ""}, FamilyCase{"llava_next", ""},
                                         FamilyCase{"qwen2_vl", "200 times"}, FamilyCase{"idefics3", ""}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(FamilyBase, OfAnotherNameIsRefusedWithThoseThatAreKnown) {
  const CommandResult result = RunCommand(
      {"rein", "data", "scenes", "--out", (TinyWorld().folder / "clip").string(), "--family", "clip"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("allowed: llava, llava_next, qwen2_vl, idefics3"));
}

}  // namespace
}  // namespace rein::system_test
