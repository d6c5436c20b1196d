// The `rein` command as scripts use it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;

TEST(CommandLine, SaysHowItIsUsed) {
  for (const char* command :
       {"run", "status", "swap", "pause", "resume", "checkpoint", "stop", "train", "plan", "eval", "logits",
        "score", "generate", "data", "trace", "report", "version"}) {
    const CommandResult help = RunCommand({"rein", command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command << help.err;
    EXPECT_THAT(help.out, HasSubstr(command));
  }
  EXPECT_THAT(RunCommand({"rein", "version"}).out, HasSubstr("0.1.0"));
}

TEST(CommandLine, ExitsWithTwoOnWrongUse) {
  EXPECT_EQ(RunCommand({"rein"}).exit_code, 2);
  EXPECT_EQ(RunCommand({"rein", "statsu"}).exit_code, 2);
  EXPECT_THAT(RunCommand({"rein", "statsu"}).err, HasSubstr("status"));
  EXPECT_EQ(RunCommand({"rein", "run"}).exit_code, 2);
  EXPECT_EQ(RunCommand({"rein", "run", "job.yaml", "--ruin-dir", "x"}).exit_code, 2);
}

TEST(CommandLine, StatusFollowsTheProto) {
  Job job("status_json", {"steps=1000"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 1; }));
  const CommandResult result = RunCommand({"rein", "status", "--run-dir", job.folder().string(), "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto status = nlohmann::json::parse(result.out);
  for (const char* key : {"phase", "step", "waiting_for", "multipliers", "actors", "job"}) {
    EXPECT_TRUE(status.contains(key)) << key;
  }
  EXPECT_EQ(status["job"]["steps"], 1000);
  EXPECT_EQ(RunCommand({"rein", "status", "--run-dir", job.folder().string()}).exit_code, 0);
  job.StopEarly();
}

TEST(CommandLine, TracesOneSample) {
  Job job("trace", {"steps=1", "record=tokens"});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  const std::string id = QueryLedger(job.folder(), "SELECT sample_id FROM samples LIMIT 1")[0][0];
  const CommandResult result =
      RunCommand({"rein", "trace", id, "--run-dir", job.folder().string(), "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(id));
  EXPECT_THAT(result.out, HasSubstr("advantages"));
  EXPECT_EQ(RunCommand({"rein", "trace", "no-such-sample", "--run-dir", job.folder().string()}).exit_code, 1);
}

TEST(CommandLine, AnswersScoresAndGeneratesWithAModelFolder) {
  const std::string data = (TinyWorld().folder / "data/evaluation.parquet").string();
  EXPECT_EQ(RunCommand({"rein", "data", "inspect", data}).exit_code, 0);
  const CommandResult text =
      RunCommand({"rein", "generate", "--model", TinyWorld().sft.string(), "--prompt", "hello", "--greedy"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  const fs::path out = TinyWorld().folder / "logits.safetensors";
  const CommandResult logits = RunCommand({"rein", "logits", "--model", TinyWorld().sft.string(), "--prompt",
                                           "hello", "--raw", "--out", out.string()});
  EXPECT_EQ(logits.exit_code, 0) << logits.err;
  EXPECT_TRUE(fs::exists(out));
  const CommandResult evaluation = RunCommand({"rein", "eval", "scenes", "--data", data, "--prompts", "8",
                                               "--model", absl::StrCat("SFT=", TinyWorld().sft.string())});
  EXPECT_EQ(evaluation.exit_code, 0) << evaluation.err;
  EXPECT_THAT(evaluation.out, HasSubstr("SFT"));
}

}  // namespace
}  // namespace rein::system_test
