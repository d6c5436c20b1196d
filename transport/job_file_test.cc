#include "transport/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "nlohmann/json.hpp"
#include "rein/v1/trainer.pb.h"
#include "transport/nearest.h"
#include "transport/reference.h"

namespace rein::transport {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A folder with what a job names, and a whole job.
class JobFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("job_file_test." + std::to_string(getpid()));
    for (const char* model : {"policy", "reward", "cost"}) {
      std::filesystem::create_directories(folder_ / model);
      std::ofstream(folder_ / model / "config.json") << "{}";
    }
    std::ofstream(folder_ / "prompts.parquet") << "x";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Text(const std::string& extra = "") const {
    return "steps: 3\n"
           "data:\n  prompts: prompts.parquet\n"
           "constraints:\n- threshold: 0.05\n"
           "actors:\n"
           "- {role: policy, model: policy}\n"
           "- {role: reward, model: reward}\n"
           "- {role: cost, model: cost}\n" +
           extra;
  }
  absl::StatusOr<v1::Job> Read(const std::string& text,
                               const std::vector<std::string>& overrides = {}) const {
    std::ofstream(folder_ / "job.yaml") << text;
    return ReadJob(folder_ / "job.yaml", overrides);
  }
  std::string Error(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    const auto job = Read(text, overrides);
    return job.ok() ? "no error" : std::string(job.status().message());
  }

  std::filesystem::path folder_;
};

TEST_F(JobFile, FillsDefaultsFromTheProto) {
  const auto job = Read(Text());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->steps(), 3);
  EXPECT_EQ(job->seed(), 1);
  EXPECT_EQ(job->algorithm().mode(), "safe_rlhf_v");
  EXPECT_EQ(job->algorithm().kl_coefficient(), 0.02);
  EXPECT_EQ(job->constraints(0).window(), 128);
  EXPECT_EQ(job->constraints(0).name(), "cost");
  EXPECT_EQ(job->constraints(0).controller().kind(), "pid");
  EXPECT_EQ(job->limits().dead_after_s(), 5);
}

TEST_F(JobFile, AddsTheActorsThatAJobImplies) {
  const auto job = Read(Text());
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_NE(FindActor(*job, "rollout"), nullptr);
  EXPECT_EQ(FindActor(*job, "rollout")->model(), (folder_ / "policy").string());
  EXPECT_EQ(FindActor(*job, "reference")->model(), (folder_ / "policy").string());
  EXPECT_EQ(FindActor(*job, "critic", "reward")->model(), (folder_ / "reward").string());
  EXPECT_EQ(FindActor(*job, "critic", "cost")->model(), (folder_ / "cost").string());
  EXPECT_EQ(FindActor(*job, "guard"), nullptr);
}

TEST_F(JobFile, AddsActorsThatDoNotTrainWithoutAdapters) {
  const auto job = Read(Text(), {"actors.0.lora.rank=4", "actors.0.offload=true"});
  ASSERT_TRUE(job.ok()) << job.status();
  for (const char* role : {"rollout", "reference"}) {
    EXPECT_EQ(FindActor(*job, role)->lora().rank(), 0) << role;
    EXPECT_TRUE(FindActor(*job, role)->offload()) << role;
  }
  EXPECT_EQ(FindActor(*job, "policy")->lora().rank(), 4);
}

TEST_F(JobFile, WritesAnEffectiveJobThatReadsBackEqual) {
  const auto job = Read(Text(), {"algorithm.kl_coefficient=0.1", "name=a \"quoted\" name"});
  ASSERT_TRUE(job.ok()) << job.status();
  v1::Job again;
  ASSERT_TRUE(ParseYaml(ToYaml(*job), "effective", "/", {}, &again).ok());
  EXPECT_EQ(job->SerializeAsString(), again.SerializeAsString()) << ToYaml(*job);
}

TEST_F(JobFile, OverridesFieldsAndElements) {
  const auto job =
      Read(Text(), {"steps=7", "constraints.0.controller.kind=log_sgd", "actors.0.freeze=[vision]"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->steps(), 7);
  EXPECT_EQ(job->constraints(0).controller().kind(), "log_sgd");
  EXPECT_EQ(job->actors(0).freeze(0), "vision");
}

TEST_F(JobFile, NamesTheNearestKeyForAnUnknownOne) {
  EXPECT_THAT(Error(Text("algoritm: {gamma: 1}\n")), AllOf(HasSubstr("job.yaml:10: unknown key 'algoritm'"),
                                                           HasSubstr("did you mean 'algorithm'?")));
  EXPECT_THAT(Error(Text(), {"rollout.temprature=1"}), HasSubstr("did you mean 'temperature'?"));
}

TEST_F(JobFile, RefusesWrongTypes) {
  EXPECT_THAT(Error(Text("seed: many\n")), HasSubstr("seed: 'many' is not a whole number of at least 0"));
  EXPECT_THAT(Error(Text("deterministic: 1\n")), HasSubstr("'1' is not true or false"));
  EXPECT_THAT(Error(Text("algorithm: [1]\n")), HasSubstr("algorithm: expected a map"));
  EXPECT_THAT(Error(Text("record: \n")), HasSubstr("record: has no value; expected a text"));
  EXPECT_THAT(Error(Text("limits: {max_queue: 99999999999}\n")),
              HasSubstr("'99999999999' is not a whole number"));
  EXPECT_THAT(Error(Text("rollout: {temperature: .nan}\n")), HasSubstr("not a finite number"));
}

TEST_F(JobFile, RefusesImpossibleNumbersAndWords) {
  EXPECT_THAT(Error(Text(), {"steps=0"}), HasSubstr("steps: 0 is out of range; allowed: at least 1 steps"));
  EXPECT_THAT(Error(Text(), {"rollout.temperature=0"}), HasSubstr("allowed: more than 0, at most 10"));
  EXPECT_THAT(Error(Text(), {"algorithm.mode=ppo_rewards"}), HasSubstr("did you mean 'ppo_reward'?"));
}

TEST_F(JobFile, RefusesWhatIsMissing) {
  EXPECT_THAT(Error("data: {prompts: prompts.parquet}\n"), HasSubstr("steps is missing"));
  std::string without_threshold = Text();
  without_threshold.replace(without_threshold.find("threshold: 0.05"), 15, "signal: raw");
  EXPECT_THAT(Error(without_threshold), HasSubstr("constraints.0.threshold is missing; it must be given"));
  EXPECT_THAT(Error(Text(), {"actors.1.model=/nowhere"}),
              HasSubstr("reward 'reward': no model folder at /nowhere"));
  EXPECT_THAT(Error(Text(), {"data.prompts=/nowhere.parquet"}),
              HasSubstr("data.prompts: nothing at /nowhere.parquet"));
}

TEST_F(JobFile, RefusesActorsThatCollide) {
  EXPECT_THAT(Error(Text(), {"actors.0.port=5000", "actors.1.port=5000"}), HasSubstr("share port 5000"));
  EXPECT_THAT(Error(Text("- {role: reward, model: reward}\n")), HasSubstr("reward is given twice"));
  EXPECT_THAT(Error(Text("- {role: cost, name: toxicity, model: cost}\n")),
              HasSubstr("belongs to no constraint"));
  EXPECT_THAT(Error(Text(), {"constraints.0.window=8"}), HasSubstr("at least one batch"));
  EXPECT_THAT(Error(Text(), {"constraints.0.name=reward"}), HasSubstr("the reward's critic"));
}

TEST_F(JobFile, RefusesDuplicatesAndTextThatIsNotYaml) {
  EXPECT_THAT(Error(Text("steps: 4\n")), HasSubstr("key 'steps' is given twice"));
  EXPECT_THAT(Error("steps: [1\n"), HasSubstr("not YAML"));
  EXPECT_THAT(Error("just words"), HasSubstr("expected a map"));
  EXPECT_THAT(Error(Text(), {"steps"}), HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(Error(Text(), {"steps.x=1"}), HasSubstr("has no fields"));
  EXPECT_THAT(Error(Text(), {"actors.9.role=cost"}),
              HasSubstr("'9' is not an index of actors; allowed: 0 to 3"));
}

TEST_F(JobFile, SurvivesEveryTruncationOfAJob) {
  const std::string text = Text();
  for (size_t length = 0; length < text.size(); ++length) Read(text.substr(0, length)).status().IgnoreError();
}

TEST_F(JobFile, KeepsProtoFieldNamesInJson) {
  const auto job = Read(Text());
  ASSERT_TRUE(job.ok());
  const auto json = nlohmann::json::parse(ToJson(*job));
  EXPECT_EQ(json["algorithm"]["kl_coefficient"], 0.02);
  EXPECT_EQ(json["actors"][0]["role"], "policy");
}

TEST(Reference, IsCurrentInTheDocs) {
  const auto descriptors = ReadFile(REIN_DESCRIPTORS);
  ASSERT_TRUE(descriptors.ok());
  const auto page = JobFilePage(*descriptors);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(*page, ReadFile(REIN_SOURCE_DIR "/docs/reference/job-file.md").value_or(""))
      << "run: rein-reference proto/rein.descriptors > docs/reference/job-file.md";
}

TEST(Reference, RefusesRubbish) {
  EXPECT_EQ(MessageReference("\x01\x02 rubbish", "rein.v1.Job").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(NearestName, SuggestsOnlyWhatIsClose) {
  EXPECT_EQ(NearestName("stpes", {"steps", "seed"}), "steps");
  EXPECT_EQ(NearestName("zebra", {"steps", "seed"}), "");
}

}  // namespace
}  // namespace rein::transport
