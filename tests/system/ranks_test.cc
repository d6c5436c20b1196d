// `rein train` by several processes.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Training {
  fs::path file, output;
  fs::path beside(const std::string& name) const { return fs::path(output.string() + ".training") / name; }
};

Training MakeTraining(const std::string& name, const std::string& settings) {
  const fs::path folder = TinyWorld().folder;
  Training training{folder / (name + ".yaml"), folder / "models" / name};
  const std::string text = absl::StrCat(
      "model: ", TinyWorld().sft.string(), "\ndata: ", (folder / "data/preferences.parquet").string(),
      "\noutput: ", training.output.string(), "\nbatch: 8\nthreads: 1\n", settings);
  EXPECT_EQ(WriteFileAtomically(training.file, text), absl::OkStatus());
  return training;
}

// One that no test waits for to end.
Training Endless(const std::string& name) { return MakeTraining(name, "steps: 1000000\nsave_every: 1\n"); }

std::vector<std::string> Arguments(const Training& training) {
  return {"rein", "train", "reward", training.file.string(), "--processes", "2"};
}

pid_t ProcessOfRank(const Training& training, int rank) {
  for (const pid_t pid : ProcessesWithArgument(training.file.string())) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/environ"));
    const std::string environment{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (absl::StrContains(environment,
                          absl::StrCat(std::string(1, '\0'), "RANK=", rank, std::string(1, '\0'))))
      return pid;
  }
  return -1;
}

void ExpectAllGone(const Training& training) {
  for (const pid_t pid : ProcessesWithArgument(training.file.string()))
    EXPECT_TRUE(WaitUntilGone(pid, absl::Seconds(60))) << pid;
  EXPECT_FALSE(fs::exists(training.output));
}

TEST(Ranks, TrainOneModelTogether) {
  const Training training = MakeTraining("two_ranks", "steps: 2\n");
  const CommandResult result = RunCommand(Arguments(training));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr(training.output.string()), HasSubstr("ranking_accuracy")));
  EXPECT_TRUE(fs::exists(training.output / "config.json"));
  EXPECT_THAT(ReadFile(training.beside("rank-1.log")).value(), HasSubstr("step 2/2"));
}

TEST(Ranks, TellTheirCommonErrorOnce) {
  const Training training = MakeTraining("bad_ranks", "steps: 2\nfreeze: [nothing]\n");
  const CommandResult result = RunCommand(Arguments(training));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("rank 0 of 2"), HasSubstr("nothing")));
  ExpectAllGone(training);
}

TEST(Ranks, EndWhenOneIsKilled) {
  const Training training = Endless("killed_rank");
  Background background(Arguments(training), TinyWorld().folder / "killed_rank.log");
  fs::create_directories(training.beside(""));
  ASSERT_TRUE(WaitForFile(training.beside("step-2"), absl::Seconds(60))) << background.Output();
  const pid_t victim = ProcessOfRank(training, 1);
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);
  EXPECT_EQ(background.Wait(absl::Seconds(60)), 1);
  EXPECT_THAT(background.Output(),
              AllOf(HasSubstr("rank 1 of 2: killed by signal 9"), HasSubstr("rank-1.log")));
  ExpectAllGone(training);
}

TEST(Ranks, EndOnASignalAndWithTheirSupervisor) {
  for (const int signal_number : {SIGTERM, SIGKILL}) {
    const Training training = Endless(absl::StrCat("stopped_ranks", signal_number));
    Background background(Arguments(training), TinyWorld().folder / "stopped_ranks.log");
    fs::create_directories(training.beside(""));
    ASSERT_TRUE(WaitForFile(training.beside("step-1"), absl::Seconds(60))) << background.Output();
    background.Signal(signal_number);
    EXPECT_NE(background.Wait(absl::Seconds(60)), -1);
    if (signal_number == SIGTERM) EXPECT_THAT(background.Output(), HasSubstr("stopped by signal 15"));
    ExpectAllGone(training);
  }
}

// A port that was free a moment ago.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

TEST(Ranks, FindEachOtherByTheVariablesOfTorchrun) {
  const Training training = MakeTraining("torchrun_ranks", "steps: 2\n");
  const int port = FreePort();
  const auto arguments = [&](int rank) -> std::vector<std::string> {
    return {"/usr/bin/env",
            absl::StrCat("RANK=", rank),
            "WORLD_SIZE=2",
            "MASTER_ADDR=localhost",
            absl::StrCat("MASTER_PORT=", port),
            (fs::path(REIN_BIN_DIR) / "rein").string(),
            "train",
            "reward",
            training.file.string()};
  };
  Background second(arguments(1), TinyWorld().folder / "second.log");
  const CommandResult first = RunCommand(arguments(0));
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(second.Wait(absl::Seconds(60)), 0) << second.Output();
  EXPECT_TRUE(fs::exists(training.output / "config.json"));
  EXPECT_THAT(second.Output(), Not(HasSubstr(training.output.string())));
}

}  // namespace
}  // namespace rein::system_test
