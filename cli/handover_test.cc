#include "cli/handover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command_line.h"
#include "cli/test_folder.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;

constexpr const char* kArguments[] = {"rein", "train", "sft", "--help", "a b"};

// Ends with 1 where the other program could not be had.
[[noreturn]] void BecomeIt(const std::filesystem::path& folder) {
  const absl::Status status = HandOver(folder, "rein-models", 5, kArguments);
  fprintf(stderr, "%s\n", status.ToString().c_str());
  exit(1);
}

TEST(HandOverDeathTest, IsTheOtherProgramWithAllArguments) {
  const TestFolder folder;
  folder.WriteScript("rein-models", "printf '<%s>' \"$@\" >&2\nexit 7\n");
  EXPECT_EXIT(BecomeIt(folder.path()), testing::ExitedWithCode(7), "^<train><sft><--help><a b>$");
}

TEST(HandOver, NamesAProgramThatIsMissing) {
  const TestFolder folder;
  const absl::Status status = HandOver(folder.path(), "rein-models", 5, kArguments);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("rein-models"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder.path().string()));
}

TEST(HandOver, NamesAProgramThatCannotRun) {
  const TestFolder folder;
  folder.Write("rein-models", "not executable");
  const absl::Status status = HandOver(folder.path(), "rein-models", 5, kArguments);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Permission denied"));
}

constexpr HandedOverVerb kElsewhere[] = {{"elsewhere", "rein-no-such-program", "What another program does"}};

std::string HelpAt(std::initializer_list<const char*> arguments, int exit_code,
                   absl::Span<const HandedOverVerb> handed_over = kElsewhere) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const std::vector<const char*> argv(arguments);
  EXPECT_EQ(RunCommandLine(static_cast<int>(argv.size()), argv.data(), {AddVersionCommand}, handed_over),
            exit_code);
  return testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
}

TEST(CommandLine, ListsVerbsOfOtherPrograms) {
  EXPECT_THAT(HelpAt({"rein", "--help"}, kExitDone), HasSubstr("What another program does"));
  EXPECT_THAT(HelpAt({"rein", "elsewere"}, kExitWrongUse), HasSubstr("'elsewhere'"));
}

TEST(CommandLine, LeavesTheirFlagsToThem) {
  for (const char* flag : {"--help", "--no-such-flag"}) {
    EXPECT_THAT(HelpAt({"rein", "elsewhere", flag}, kExitFailed), HasSubstr("rein-no-such-program"));
  }
}

constexpr HandedOverVerb kPartElsewhere[] = {
    {"version part", "rein-no-such-program", "A part of a verb"},
    {"whole part", "rein-no-such-part", "A part of another program's verb"},
    {"whole", "rein-no-such-whole", "All else of it"}};

TEST(CommandLine, LeavesAPartOfAVerbToAnotherProgram) {
  EXPECT_THAT(HelpAt({"rein", "version", "part", "--flag"}, kExitFailed, kPartElsewhere),
              HasSubstr("rein-no-such-program"));
  EXPECT_THAT(HelpAt({"rein", "version", "--help"}, kExitDone, kPartElsewhere),
              HasSubstr("A part of a verb"));
  EXPECT_THAT(HelpAt({"rein", "whole", "part"}, kExitFailed, kPartElsewhere), HasSubstr("rein-no-such-part"));
  EXPECT_THAT(HelpAt({"rein", "whole", "other"}, kExitFailed, kPartElsewhere),
              HasSubstr("rein-no-such-whole"));
  EXPECT_THAT(HelpAt({"rein", "whole"}, kExitFailed, kPartElsewhere), HasSubstr("rein-no-such-whole"));
}

}  // namespace
}  // namespace rein::cli
