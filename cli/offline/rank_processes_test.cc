#include "cli/offline/rank_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "training/tiny_llava.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using training::FreshFolder;

// Their scripts notice nothing.
RankProcesses Three() { return {.processes = 3, .to_notice = absl::Milliseconds(1)}; }

absl::Status RunScript(const RankProcesses& ranks, const std::string& script, const fs::path& logs) {
  return RunRankProcesses(ranks, "/bin/sh", {"-c", script}, logs);
}

void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

TEST(RankProcesses, TellEachWhichItIs) {
  const fs::path logs = FreshFolder("ranks");
  const std::string script =
      absl::StrCat("echo $RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR > ", logs.string(),
                   "/said-$RANK; test $MASTER_PORT -gt 0 && test $TORCHELASTIC_USE_AGENT_STORE = True");
  ASSERT_EQ(RunScript(Three(), script, logs), absl::OkStatus());
  EXPECT_EQ(ReadFile(logs / "said-0").value(), "0 0 3 127.0.0.1\n");
  EXPECT_EQ(ReadFile(logs / "said-2").value(), "2 2 3 127.0.0.1\n");
}

TEST(RankProcesses, OfASecondHostCountOn) {
  const fs::path logs = FreshFolder("ranks");
  const RankProcesses ranks{.processes = 2, .nodes = 2, .node_rank = 1, .rendezvous = "127.0.0.1:29511"};
  const std::string script =
      absl::StrCat("echo $RANK $WORLD_SIZE $MASTER_PORT > ", logs.string(), "/said-$RANK");
  ASSERT_EQ(RunScript(ranks, script, logs), absl::OkStatus());
  EXPECT_EQ(ReadFile(logs / "said-2").value(), "2 4 29511\n");
  EXPECT_EQ(ReadFile(logs / "said-3").value(), "3 4 29511\n");
}

TEST(RankProcesses, EndTogetherAndTellWhoFailedAndWhatItSaid) {
  const fs::path logs = FreshFolder("ranks");
  const std::string wait = "read forever < $FIFO";  // until it is killed
  const std::string fifo = (logs / "fifo").string();
  const auto script = [&](const std::string& last_rank) {
    return absl::StrCat("FIFO=", fifo, "; test -e $FIFO || mkfifo $FIFO 2>/dev/null; if [ $RANK = 2 ]; then ",
                        last_rank, "; else ", wait, "; fi");
  };
  const absl::Status failed =
      RunScript(Three(), script("echo step 1; echo error: no more disk >&2; exit 1"), logs);
  ExpectError(failed, absl::StatusCode::kAborted, "rank 2 of 3: exit status 1");
  EXPECT_THAT(std::string(failed.message()),
              AllOf(HasSubstr("error: no more disk"), HasSubstr("rank-2.log")));
  const absl::Status killed = RunScript(Three(), script("echo step 7; kill -9 $$"), logs);
  ExpectError(killed, absl::StatusCode::kAborted, "rank 2 of 3: killed by signal 9");
  EXPECT_THAT(std::string(killed.message()), AllOf(HasSubstr("step 7"), Not(HasSubstr("no more disk"))));
}

TEST(RankProcesses, SayWhatIsWrongWithTheirNumbers) {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  ExpectError(CheckRankProcesses({.nodes = 2}), invalid, "--rendezvous");
  ExpectError(CheckRankProcesses({.nodes = 2, .node_rank = 2, .rendezvous = "a:1"}), invalid,
              "--node-rank is 2");
  for (const char* rendezvous : {"node-0", ":29500", "node-0:", "node-0:0", "node-0:65536", "a:b:c"})
    ExpectError(CheckRankProcesses({.processes = 2, .rendezvous = rendezvous}), invalid, rendezvous);
  ASSERT_EQ(setenv("WORLD_SIZE", "2", 1), 0);
  ExpectError(CheckRankProcesses({.processes = 2}), invalid, "torchrun");
  EXPECT_EQ(CheckRankProcesses({}), absl::OkStatus());
  ASSERT_EQ(unsetenv("WORLD_SIZE"), 0);
}

TEST(RankProcesses, CannotBeOfAProgramThatIsNotThere) {
  const fs::path logs = FreshFolder("ranks");
  EXPECT_FALSE(RunRankProcesses(Three(), "/no/such/program", {}, logs).ok());
}

}  // namespace
}  // namespace rein::cli
