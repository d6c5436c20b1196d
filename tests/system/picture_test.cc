// Pictures of all kinds inside the prompts: those that cannot be used are refused with the reason, and only
// those.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "data/preferences.h"
#include "tests/system/pictures.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Sixteen prompts: nine as they should be and seven whose question tells what is odd about the picture.
fs::path OddPrompts() {
  std::vector<data::PreferenceRow> rows =
      data::LoadPreferences(TinyWorld().folder / "data/prompts.parquet").value();
  rows.resize(16);
  const std::string whole = rows[0].pictures[0].bytes;
  const std::pair<const char*, std::string> odd[] = {
      {"tiny", GreyPng(1, 1)},
      {"none", ""},
      {"truncated", whole.substr(0, whole.size() / 2)},
      {"rubbish", whole.substr(0, 8) + std::string(300, 'x')},
      {"huge", GreyPng(10000, 10000)},
      {"thin", GreyPng(1, 10000)},
      {"which <image>", whole},
  };
  for (size_t i = 0; i < std::size(odd); ++i) {
    rows[9 + i].question = odd[i].first;
    rows[9 + i].pictures.clear();
    if (!odd[i].second.empty()) rows[9 + i].pictures = {{odd[i].second, ""}};
  }
  const fs::path path = TinyWorld().folder / "odd.parquet";
  EXPECT_TRUE(data::WritePreferences(path, rows).ok());
  return path;
}

TEST(Picture, ThatCannotBeUsedIsRefusedAndTheRestIsUsed) {
  Job job("pictures", {"steps=4", absl::StrCat("data.prompts=", OddPrompts().string())});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  const auto reasons = [&](const std::string& question) {
    return QueryLedger(job.folder(),
                       absl::StrCat("SELECT state, COALESCE(drop_reason, '') FROM samples WHERE ",
                                    "question = '", question, "'"));
  };
  const auto dropped = [](const std::string& why) {
    return AllOf(SizeIs(2), testing::Each(testing::ElementsAre("dropped", testing::ContainsRegex(why))));
  };
  EXPECT_THAT(reasons("truncated"), dropped("broken|decode|truncated"));
  EXPECT_THAT(reasons("rubbish"), dropped("broken|decode|header"));
  EXPECT_THAT(reasons("huge"), dropped("10000 ?x ?10000"));
  const auto used = AllOf(SizeIs(2), testing::Each(testing::ElementsAre("consumed", "")));
  EXPECT_THAT(reasons("which <image>"), dropped("which stands for a picture"));
  EXPECT_THAT(reasons("tiny"), used);
  EXPECT_THAT(reasons("thin"), used) << "transformers takes it";
  EXPECT_THAT(reasons("none"), used);
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0], "24");
  int counted = 0;
  for (const auto& line : Metrics(job.folder())) counted += line["dropped"].get<int>();
  EXPECT_EQ(counted, 8);
}

// Twelve pairs as JSONL: with no picture, one and two.
fs::path MixedRows() {
  const fs::path folder = TinyWorld().folder / "mixed";
  fs::create_directories(folder);
  std::ofstream out(folder / "rows.jsonl");
  for (size_t i = 0; i < 12; ++i) {
    nlohmann::json row = {{"question", absl::StrCat("what is this? ", i)},
                          {"images", nlohmann::json::array()},
                          {"response_1", "this is a red circle"},
                          {"response_2", "this is some thing"},
                          {"more_helpful_response_id", 1},
                          {"safer_response_id", 2},
                          {"is_response_1_safe", i % 2 == 0},
                          {"is_response_2_safe", true},
                          {"category", "benign"}};
    for (size_t picture = 0; picture < i % 3; ++picture) {
      const std::string name = absl::StrCat(i, "-", picture, ".png");
      fs::copy_file(PictureFile(TinyWorld(), i + 12 * picture), folder / name,
                    fs::copy_options::overwrite_existing);
      row["images"].push_back(name);
    }
    out << row << "\n";
  }
  return folder / "rows.jsonl";
}

TEST(Picture, SeveralOrNoneGoFromTheRowsThroughEveryTraining) {
  const World& world = TinyWorld();
  const std::string rows = MixedRows().string();
  const auto train = [&](const char* kind) {
    const std::string output = absl::StrCat("mixed_", kind);
    fs::remove_all(world.folder / "models" / output);
    TrainBarely(world, kind, "models/sft", rows, output);
    EXPECT_NE(Bytes(world.folder / "models" / output / "model.safetensors"),
              Bytes(world.sft / "model.safetensors"));
  };
  for (const char* kind : {"sft", "reward", "cost", "dpo"}) train(kind);
  Job job("mixed", {"steps=3", absl::StrCat("data.prompts=", rows), absl::StrCat("ptx.data=", rows)});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0], "24");
  std::map<size_t, int> samples;
  for (const auto& sample : Lines(job.folder() / "samples.jsonl")) ++samples[sample["images"].size()];
  EXPECT_THAT(samples, testing::ElementsAre(testing::Pair(0, 8), testing::Pair(1, 8), testing::Pair(2, 8)));
  for (const auto& line : Metrics(job.folder())) EXPECT_LT(line["logprob_gap"].get<double>(), 1e-3) << line;
}

TEST(Picture, SeveralOrNoneAreTakenByTheVerbsInTheirOrder) {
  const World& world = TinyWorld();
  const std::string a = PictureFile(world, 0).string(), b = PictureFile(world, 1).string();
  const auto print = [](std::vector<std::string> arguments, const std::vector<std::string>& images) {
    arguments.insert(arguments.end(), {"--prompt", "what is shown?"});
    for (const std::string& image : images) arguments.insert(arguments.end(), {"--image", image});
    const CommandResult result = RunCommand(arguments);
    EXPECT_EQ(result.exit_code, 0) << arguments[1] << ": " << result.err;
    return result.out;
  };
  std::set<std::string> scores;
  for (const std::vector<std::string>& images : {std::vector<std::string>{}, {a}, {a, b}, {b, a}})
    scores.insert(
        print({"rein", "score", "--model", world.cost.string(), "--response", "two circles"}, images));
  EXPECT_THAT(scores, SizeIs(4));
  print({"rein", "generate", "--model", world.sft.string(), "--greedy", "--max-tokens", "2"}, {a, b});
  print({"rein", "generate", "--model", world.sft.string(), "--greedy", "--max-tokens", "2"}, {});
  const std::string out = (world.folder / "two.safetensors").string();
  print({"rein", "logits", "--model", world.sft.string(), "--out", out}, {a, b});
}

TEST(Picture, ThatAQuestionNamesItselfIsRefusedBeforeTraining) {
  const World& world = TinyWorld();
  const fs::path rows = world.folder / "marked.jsonl";
  std::ofstream(rows) << R"({"question": "what is <image> this?", "answer": "a circle"})"
                      << "\n";
  const fs::path output = world.folder / "models/marked";
  const CommandResult trained =
      RunCommand({"rein", "train", "sft", (world.folder / "sft.yaml").string(), "--set",
                  absl::StrCat("model=", world.sft.string()), "--set", absl::StrCat("data=", rows.string()),
                  "--set", absl::StrCat("output=", output.string())});
  EXPECT_EQ(trained.exit_code, 1);
  EXPECT_THAT(trained.err, AllOf(HasSubstr("marked.jsonl row 1"), HasSubstr("which stands for a picture")));
  EXPECT_FALSE(fs::exists(output));
  const CommandResult raw = RunCommand({"rein", "logits", "--model", world.sft.string(), "--raw", "--prompt",
                                        "<image> and <image>", "--image", PictureFile(world, 0).string(),
                                        "--out", (world.folder / "never.safetensors").string()});
  EXPECT_EQ(raw.exit_code, 1);
  EXPECT_THAT(raw.err, HasSubstr("2 times \"<image>\" for 1 pictures"));
}

}  // namespace
}  // namespace rein::system_test
