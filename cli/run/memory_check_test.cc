#include "cli/run/memory_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/test_folder.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kTooLarge[] = "{\"fits\": false, \"message\": \"cpu needs 9 GiB and has 1 GiB\"}";

// A planner that notes its arguments and says `output`.
void WritePlanner(const TestFolder& folder, const std::string& output) {
  folder.WriteScript("rein-models", absl::StrCat("echo \"$@\" > ", (folder.path() / "arguments").string(),
                                                 "\ncat <<'END'\n", output, "\nEND\nexit 1\n"));
}

std::string ArgumentsSeen(const TestFolder& folder) {
  std::ifstream file(folder.path() / "arguments");
  std::string line;
  std::getline(file, line);
  return line;
}

TEST(CheckMemory, RefusesWhatDoesNotFitWithThePlansWords) {
  const TestFolder folder;
  WritePlanner(folder, kTooLarge);
  const absl::Status status =
      CheckMemory(folder.path(), {.job_file = "job.yaml", .overrides = {"steps=4", "seed=2"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cpu needs 9 GiB and has 1 GiB"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--skip-memory-check"));
  EXPECT_EQ(ArgumentsSeen(folder), "plan job.yaml --json --set steps=4 --set seed=2");
}

TEST(CheckMemory, AsksAboutTheJobOfTheFolderThatIsResumed) {
  const TestFolder folder;
  WritePlanner(folder, kTooLarge);
  EXPECT_FALSE(
      CheckMemory(folder.path(), {.overrides = {"steps=4"}, .run_dir = "runs/a", .resume = true}).ok());
  EXPECT_EQ(ArgumentsSeen(folder), "plan runs/a/job.yaml --json");
}

TEST(CheckMemory, LetsThroughWhatFitsOrCannotBeTold) {
  const TestFolder folder;
  EXPECT_EQ(CheckMemory(folder.path(), {.job_file = "job.yaml"}), absl::OkStatus());
  for (const char* output : {"{\"fits\": true}", "{\"fits\": null}", "", "not json", "[]"}) {
    WritePlanner(folder, output);
    EXPECT_EQ(CheckMemory(folder.path(), {.job_file = "job.yaml"}), absl::OkStatus()) << output;
  }
}

}  // namespace
}  // namespace rein::cli
