// The verbs of rein-data as the command line runs them, in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/handover.h"
#include "cli/test_folder.h"
#include "data/image.h"
#include "data/preferences.h"
#include "nlohmann/json.hpp"

namespace rein::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct Outcome {
  absl::Status status;
  std::string out;
};

// Runs `rein ARGUMENTS...`; wrong flags are INVALID_ARGUMENT with "usage" in front.
Outcome RunRein(const std::vector<std::string>& arguments) {
  CLI::App rein("", "rein");
  Action action;
  AddDataCommand(rein, action);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    rein.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return {absl::InvalidArgumentError(absl::StrCat("usage: ", error.what())), ""};
  }
  testing::internal::CaptureStdout();
  const absl::Status status = action ? action() : absl::InternalError("no verb was chosen");
  fflush(stdout);
  return {status, testing::internal::GetCapturedStdout()};
}

void ExpectError(const std::vector<std::string>& arguments, absl::StatusCode code, const std::string& text) {
  const Outcome outcome = RunRein(arguments);
  EXPECT_EQ(outcome.status.code(), code) << outcome.status;
  EXPECT_THAT(std::string(outcome.status.message()), HasSubstr(text));
}

std::string SmallPng() { return data::EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}).value_or(""); }

TEST(DataVerb, RefusesWrongFlags) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"data"},
                                             {"data", "scenes"},
                                             {"data", "scenes", "--out", "x", "--seed", "many"},
                                             {"data", "inspect"}}) {
    ExpectError(arguments, absl::StatusCode::kInvalidArgument, "usage: ");
  }
}

TEST(DataVerb, IsTheOneThatReinHandsOver) {
  CLI::App rein("", "rein");
  Action action;
  AddDataCommand(rein, action);
  for (const HandedOverVerb& verb : kHandedOverVerbs) {
    if (verb.program != std::string("rein-data")) continue;
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
                          .image_bytes = SmallPng(),
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

}  // namespace
}  // namespace rein::cli
