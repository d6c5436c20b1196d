// `rein train` by several processes.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Of figures of one and of two ranks, which differ by rounding.
constexpr double kTolerance = 1e-4;

struct Training {
  std::string kind;
  fs::path file, output;
  fs::path beside(const std::string& name) const { return fs::path(output.string() + ".training") / name; }
};

// Rounding decides the sign of gradients that are zero but for it; with this epsilon Adam makes no steps of
// them.
constexpr char kOptimizer[] = "optimizer: {learning_rate: 1e-3, epsilon: 1e-2}\n";

Training MakeTraining(const std::string& name, const std::string& settings,
                      const std::string& kind = "reward") {
  const fs::path folder = TinyWorld().folder;
  Training training{kind, folder / (name + ".yaml"), folder / "models" / name};
  const std::string text = absl::StrCat(
      "model: ", TinyWorld().sft.string(), "\ndata: ", (folder / "data/preferences.parquet").string(),
      "\noutput: ", training.output.string(), "\nbatch: 8\nthreads: 1\n", kOptimizer, settings);
  EXPECT_EQ(WriteFileAtomically(training.file, text), absl::OkStatus());
  return training;
}

// One that no test waits for to end.
Training Endless(const std::string& name) { return MakeTraining(name, "steps: 1000000\nsave_every: 1\n"); }

std::vector<std::string> Arguments(const Training& training, int processes = 2) {
  return {"rein", "train", training.kind, training.file.string(), "--processes", absl::StrCat(processes)};
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

// The steps of a training, all figures of each.
std::vector<json> StepsOf(const Training& training) { return Lines(training.beside("metrics.jsonl")); }

void ExpectNear(const json& figures, const json& expected) {
  ASSERT_EQ(figures.size(), expected.size());
  for (const auto& [name, value] : expected.items()) {
    ASSERT_TRUE(figures.contains(name)) << name;
    const double right = value.get<double>();
    EXPECT_NEAR(figures[name].get<double>(), right, kTolerance * std::max(1.0, std::abs(right))) << name;
  }
}

struct Kind {
  std::string name;
  std::string metric;  // that it prints
};

class RanksOfKind : public testing::TestWithParam<Kind> {
 protected:
  Training Train(int processes) {
    const Training training = MakeTraining(absl::StrCat(GetParam().name, "_of_", processes, "_ranks"),
                                           "steps: 2\n", GetParam().name);
    const CommandResult result = RunCommand(Arguments(training, processes));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, AllOf(HasSubstr(training.output.string()), HasSubstr(GetParam().metric)));
    EXPECT_TRUE(fs::exists(training.output / "config.json"));
    return training;
  }
};

TEST_P(RanksOfKind, TrainTogetherWhatOneProcessTrains) {
  const Training alone = Train(1), together = Train(2);
  EXPECT_THAT(ReadFile(together.beside("rank-1.log")).value(), HasSubstr("step 2/2"));
  const std::vector<json> expected = StepsOf(alone), steps = StepsOf(together);
  ASSERT_EQ(expected.size(), 2u);
  ASSERT_EQ(steps.size(), 2u);
  for (size_t i = 0; i < steps.size(); ++i) ExpectNear(steps[i], expected[i]);
}

INSTANTIATE_TEST_SUITE_P(Trainers, RanksOfKind,
                         testing::Values(Kind{"reward", "ranking_accuracy"}, Kind{"guard", "macro_f1"}),
                         [](const auto& info) { return info.param.name; });

// Rank 0 alone writes head and thresholds.
TEST(Ranks, LeaveAGuardThatModerates) {
  const Training training = MakeTraining("guard_of_ranks", "steps: 1\n", "guard");
  const CommandResult trained = RunCommand(Arguments(training));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const CommandResult moderated = RunCommand(
      {"rein", "guard", "moderate", "--guard", training.output.string(), "--prompt", "what is this?"});
  EXPECT_EQ(moderated.exit_code, 0) << moderated.err;
  EXPECT_THAT(moderated.out, HasSubstr("p("));
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
