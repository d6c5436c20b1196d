#include "cli/offline/rank_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace rein::cli {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

absl::StatusOr<RankEnvironment> Read(const Variables& variables) {
  return ReadRankEnvironment([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? "" : found->second;
  });
}

const Variables kSecond = {
    {"RANK", "1"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "node-0"}, {"MASTER_PORT", "29500"}};

TEST(RankEnvironment, IsAloneWithoutAWorldOrWithAWorldOfOne) {
  EXPECT_EQ(Read({}).value().world, 1);
  // Some clusters set it everywhere.
  EXPECT_EQ(Read({{"WORLD_SIZE", "1"}}).value().world, 1);
  EXPECT_EQ(JoinRanks(*Read({})).value().ranks.world(), 1);
}

TEST(RankEnvironment, IsWhatTorchrunSets) {
  Variables variables = kSecond;
  const RankEnvironment plain = Read(variables).value();
  EXPECT_EQ(plain.rank, 1);
  EXPECT_EQ(plain.world, 4);
  EXPECT_EQ(plain.host, "node-0");
  EXPECT_EQ(plain.port, 29500);
  EXPECT_FALSE(plain.agent_serves_store);
  EXPECT_EQ(plain.restarts, 0u);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  variables["TORCHELASTIC_RESTART_COUNT"] = "2";
  EXPECT_TRUE(Read(variables).value().agent_serves_store);
  EXPECT_EQ(Read(variables).value().restarts, 2u);
}

TEST(RankEnvironment, NamesTheVariableThatIsWrong) {
  const Variables wrong = {{"RANK", "4"},
                           {"WORLD_SIZE", "many"},
                           {"MASTER_ADDR", ""},
                           {"MASTER_PORT", "web"},
                           {"TORCHELASTIC_RESTART_COUNT", "-1"}};
  for (const auto& [name, value] : wrong) {
    Variables variables = kSecond;
    variables[name] = value;
    const absl::Status status = Read(variables).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST(RankEnvironment, CannotJoinAtAHostThatIsNone) {
  RankEnvironment environment = Read(kSecond).value();
  environment.host = "no-such-host.invalid";
  EXPECT_EQ(JoinRanks(environment).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ResolveHost("127.0.0.1").value(), "127.0.0.1");
}

}  // namespace
}  // namespace rein::cli
