// The verbs of rein-data as the command line runs them, in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/handover.h"
#include "cli/test_folder.h"
#include "cli/verb_under_test.h"
#include "data/image.h"
#include "data/preferences.h"
#include "nlohmann/json.hpp"

namespace rein::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

Outcome RunRein(const std::vector<std::string>& arguments) { return RunVerb(AddDataCommand, arguments); }

void ExpectError(const std::vector<std::string>& arguments, absl::StatusCode code, const std::string& text) {
  ExpectOutcome(RunRein(arguments), code, text);
}

std::string SmallPng() { return data::EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}).value_or(""); }

TEST(DataVerb, RefusesWrongFlags) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"data"},
                                             {"data", "scenes"},
                                             {"data", "scenes", "--out", "x", "--seed", "many"},
                                             {"data", "inspect"},
                                             {"data", "convert", "in"}}) {
    ExpectError(arguments, absl::StatusCode::kInvalidArgument, "usage: ");
  }
}

TEST(DataVerb, IsTheOneThatReinHandsOver) {
  CLI::App rein("", "rein");
  Action action;
  AddDataCommand(rein, action);
  for (const HandedOverVerb& verb : kHandedOverVerbs) {
    if (verb.verb != std::string("data")) continue;
    EXPECT_EQ(verb.program, std::string("rein-data"));
    EXPECT_EQ(rein.get_subcommand(verb.verb)->get_description(), verb.about);
  }
}

TEST(DataScenes, WritesWhatInspectReads) {
  const TestFolder folder;
  const std::filesystem::path scenes = folder.path() / "scenes";
  const Outcome made =
      RunRein({"data", "scenes", "--out", scenes.string(), "--train-rows", "8", "--evaluation-rows", "20"});
  ASSERT_TRUE(made.status.ok()) << made.status;
  EXPECT_THAT(made.out, HasSubstr("synthetic"));
  const std::string file = (scenes / "evaluation.parquet").string();
  const json summary = json::parse(RunRein({"data", "inspect", file, "--json"}).out);
  EXPECT_EQ(summary["rows"], 20);
  EXPECT_EQ(summary["kept"], 20);
  EXPECT_EQ(summary["categories"]["benign"]["rows"], 12);
  EXPECT_EQ(summary["severities"]["safe"], 12);
  EXPECT_EQ(summary["pictures"]["sizes"]["32 x 32 png"], 20);
  EXPECT_EQ(summary["examples"].size(), 3u);
  EXPECT_THAT(RunRein({"data", "inspect", file}).out, HasSubstr("words in a question"));
  ExpectError({"data", "scenes", "--out", scenes.string()}, absl::StatusCode::kAlreadyExists,
              scenes.string());
}

TEST(DataInspect, CountsWhatIsDroppedAndWhy) {
  data::PreferenceRow row{.question = "what is this?",
                          .pictures = {{SmallPng(), ""}},
                          .response = {"a", "b"},
                          .more_helpful = 1,
                          .safer = 2,
                          .category = "benign"};
  data::PreferenceRow equal = row;
  equal.response[1] = "a";
  const TestFolder folder;
  const std::filesystem::path file = folder.path() / "rows.parquet";
  ASSERT_EQ(data::WritePreferences(file, {row, equal, row}), absl::OkStatus());
  const json summary = json::parse(RunRein({"data", "inspect", file.string(), "--json"}).out);
  EXPECT_EQ(summary["rows"], 3);
  EXPECT_EQ(summary["kept"], 2);
  EXPECT_EQ(summary["dropped"]["equal responses"], 1);
  EXPECT_EQ(summary["questions"]["distinct"], 1);
  EXPECT_EQ(summary["safe_share"], 1.0);
}

TEST(DataInspect, NamesAFileThatIsNotParquet) {
  const TestFolder folder;
  const std::filesystem::path file = folder.Write("broken.parquet", "not parquet");
  ExpectError({"data", "inspect", file.string()}, absl::StatusCode::kInvalidArgument, "broken.parquet");
}

std::string Fixture(const std::string& name) { return REIN_SOURCE_DIR "/tests/fixtures/data/" + name; }

json Inspected(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"data", "inspect"});
  arguments.push_back("--json");
  const Outcome outcome = RunRein(arguments);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  return json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
}

TEST(DataInspect, TellsWhatEveryFormatHolds) {
  const json pairs = Inspected({Fixture("beavertails_v")});
  EXPECT_EQ(pairs["formats"]["beavertails-v"], 6);
  EXPECT_EQ(pairs["columns"]["harmless_rates"], 18);
  EXPECT_EQ(pairs["categories"]["horror_and_gore"]["rows"], 6);
  EXPECT_EQ(pairs["responses"]["per_row"], json({{"2", 18}}));
  EXPECT_EQ(pairs["pictures"]["sizes"]["64 x 48 jpeg"], 3);
  EXPECT_EQ(pairs["pictures"]["distinct"], 18);
  const json conversations = Inspected({Fixture("llava"), "--every-exchange"});
  EXPECT_EQ(conversations["kept"], 5);
  EXPECT_EQ(conversations["pictures"]["per_row"], json({{"0", 1}, {"1", 3}, {"2", 1}}));
  EXPECT_EQ(conversations["safe_share"], nullptr);
  EXPECT_EQ(conversations["examples"][0]["responses"], json({"A gradient."}));
  const json text = Inspected({Fixture("beavertails")});
  EXPECT_EQ(text["categories"]["(none)"]["safe_responses"], 3);
  EXPECT_EQ(text["categories"]["animal_abuse"]["labelled_responses"], 3);
  EXPECT_EQ(text["noted"]["several categories: the first one is kept"], 2);
  EXPECT_THAT(RunRein({"data", "inspect", Fixture("rows")}).out, HasSubstr("dropped: both an answer"));
}

TEST(DataInspect, TakesSplitsColumnsAndPolicies) {
  EXPECT_EQ(Inspected({Fixture("beavertails_v"), "--split", "evaluation"})["rows"], 6);
  EXPECT_EQ(Inspected({Fixture("beavertails_v_broken.parquet"), "--contradictions", "drop", "--pictures",
                       "decode"})["kept"],
            4);
  ExpectError({"data", "inspect", Fixture("beavertails_v_renamed.parquet")},
              absl::StatusCode::kInvalidArgument, "its columns are: prompt");
  EXPECT_EQ(Inspected({Fixture("beavertails_v_renamed.parquet"), "--columns",
                       "question=prompt,safer_response_id=safer"})["kept"],
            2);
  ExpectError({"data", "inspect", Fixture("rows"), "--split", "dev"}, absl::StatusCode::kInvalidArgument,
              "evaluation");
  ExpectError({"data", "inspect", Fixture("rows"), "--format", "csv"}, absl::StatusCode::kInvalidArgument,
              "known: beavertails-v");
}

TEST(DataInspect, FindsRowsThatAreInTheTrainingData) {
  const std::string all = Fixture("beavertails_v");
  const json clean = Inspected({all, "--split", "evaluation", "--against", all, "--against-split", "train"});
  EXPECT_EQ(clean["leaks"]["rows"], 6);
  EXPECT_EQ(clean["leaks"]["same_picture"], 0);
  const json leaking = Inspected({all, "--split", "evaluation", "--against", all});
  EXPECT_EQ(leaking["leaks"]["same_prompt"], 6);
  EXPECT_THAT(RunRein({"data", "inspect", all, "--against", all}).out,
              HasSubstr("of 18 rows 18 are in " + all + " with picture and question"));
}

TEST(DataConvert, WritesAnyFormatInOurSchema) {
  const TestFolder folder;
  const std::string out = (folder.path() / "out.parquet").string();
  const auto convert = [&out](const std::string& name, const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {"data", "convert", Fixture(name), out};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Outcome outcome = RunRein(arguments);
    EXPECT_TRUE(outcome.status.ok()) << outcome.status;
    return outcome.out;
  };
  EXPECT_THAT(convert("spa_vl", {"--safe-rate", "1", "--unsafe-rate", "-1"}), HasSubstr("3 rows of 3"));
  const auto pairs = data::LoadPreferences(out);
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  ASSERT_EQ(pairs->size(), 3u);
  EXPECT_EQ((*pairs)[1].response[0], "Chosen 1");
  EXPECT_EQ((*pairs)[1].safer, 1);
  EXPECT_EQ((*pairs)[1].harmless_rate[1], -1);
  EXPECT_FALSE((*pairs)[1].is_safe[1]);
  convert("spa_vl", {});
  EXPECT_EQ(Inspected({out})["columns"]["harmless_rates"], 0);
  EXPECT_THAT(convert("llava", {}), HasSubstr("several pictures 1"));
  EXPECT_EQ(data::LoadPreferences(out, {}, data::Need::kAnswer)->size(), 3u);
  convert("beavertails_v", {});
  EXPECT_EQ(data::LoadPreferences(out).value(), data::LoadPreferences(Fixture("beavertails_v")).value());
}

TEST(DataConvert, WritesNothingWhereNothingCanBeConverted) {
  const TestFolder folder;
  const std::string out = (folder.path() / "out.parquet").string();
  ExpectError({"data", "convert", Fixture("llava"), out, "--format", "spa-vl"},
              absl::StatusCode::kInvalidArgument, "lacks the column");
  const std::string useless = folder.Write("useless.jsonl", "{\"question\": \"\"}\n").string();
  ExpectError({"data", "convert", useless, out}, absl::StatusCode::kInvalidArgument, "no question 1");
  ExpectError({"data", "convert", Fixture("rows"), (folder.path() / "out.csv").string()},
              absl::StatusCode::kInvalidArgument, ".parquet");
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_FALSE(std::filesystem::exists(out + ".partial"));
}

}  // namespace
}  // namespace rein::cli
