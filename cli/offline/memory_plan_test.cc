// rein plan as the command line runs it, on the tiny model.
#include "cli/offline/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/verb_under_test.h"
#include "nlohmann/json.hpp"
#include "training/tiny_llava.h"

namespace rein::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kActors[] =
    "actors:\n"
    "  - {role: policy, model: model, freeze: [vision]}\n"
    "  - {role: rollout, replicas: 2}\n"
    "  - {role: reward, model: model}\n"
    "  - {role: cost, model: model}\n"
    "constraints: [{name: cost, threshold: 0}]\n";

// A folder with a model folder without weights, a job and a trainer file. `actors` closes the job file.
class PlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = training::FreshFolder("plan");
    std::filesystem::create_directories(folder_ / "model");
    training::WriteTinyFolder(folder_ / "model");
    Write("data.parquet", "not read");
    WriteJob(kActors);
    Write("sft.yaml", "model: model\ndata: data.parquet\noutput: out\nsteps: 2\n");
  }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_EQ(WriteFileAtomically(folder_ / name, text), absl::OkStatus());
  }
  void WriteJob(const std::string& actors) {
    Write("job.yaml", absl::StrCat("steps: 2\ndata: {prompts: data.parquet}\n"
                                   "rollout: {max_prompt_tokens: 64, max_response_tokens: 32}\n",
                                   actors));
  }
  Outcome Plan(const std::string& file, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"plan", (folder_ / file).string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunVerb(AddPlanCommand, arguments);
  }
  json PlanJson(const std::string& file, std::vector<std::string> more) {
    more.push_back("--json");
    return json::parse(Plan(file, more).out);
  }
  static json Named(const json& list, const std::string& key, const std::string& name) {
    for (const json& entry : list) {
      if (entry.at(key) == name) return entry;
    }
    ADD_FAILURE() << name << " is not in " << list;
    return {};
  }

  std::filesystem::path folder_;
};

TEST_F(PlanTest, CountsEveryProcessOfAJobFromConfigurationsAlone) {
  const json plan = PlanJson("job.yaml", {"--host-memory", "100GiB"});
  EXPECT_EQ(plan.at("fits"), true);
  EXPECT_EQ(plan.at("message"), "");
  const json& processes = plan.at("processes");
  // policy, two rollouts, reference, reward, cost, two critics, coordinator.
  ASSERT_EQ(processes.size(), 9u);
  const auto model = models::MakeRandomModel(folder_ / "model", 1).value();
  int64_t parameters = 0, vision = 0;
  for (const auto& [name, tensor] : model->tensors()) {
    parameters += tensor.numel();
    if (model->PartOf(name) == "vision") vision += tensor.numel();
  }
  const json policy = Named(processes, "name", "policy/policy/0");
  EXPECT_EQ(policy.at("parameters"), parameters);
  EXPECT_EQ(policy.at("trained_parameters"), parameters - vision);
  EXPECT_EQ(policy.at("weights_bytes"), 4 * parameters);
  EXPECT_EQ(policy.at("gradients_bytes"), 4 * (parameters - vision));
  EXPECT_EQ(policy.at("optimizer_bytes"), 8 * (parameters - vision));
  EXPECT_GT(policy.at("activations_bytes"), policy.at("checkpointed_activations_bytes"));
  const json critic = Named(processes, "name", "critic/cost/0");
  EXPECT_EQ(critic.at("parameters"), parameters + 32) << "a score head of 32 values";
  EXPECT_EQ(Named(processes, "name", "reward/reward/0").at("gradients_bytes"), 0);
  // 64 sequences of 96 tokens in blocks of 16, and one block more each; 2 layers of 2 heads of 8 values.
  EXPECT_EQ(Named(processes, "name", "rollout/rollout/1").at("kv_cache_bytes"),
            64 * 7 * 16 * 2 * 2 * 2 * 8 * 4);
  int64_t sum = 0;
  for (const json& process : processes) sum += process.at("needs_bytes").get<int64_t>();
  EXPECT_EQ(Named(plan.at("devices"), "device", "cpu").at("needs_bytes"), sum);
}

TEST_F(PlanTest, SaysNoWithNumbersAndWhatToChange) {
  Write("job.yaml", absl::StrCat("steps: 2\ndata: {prompts: data.parquet}\n", kActors));
  const json roomy = PlanJson("job.yaml", {"--host-memory", "100GiB"});
  const int64_t needs = roomy.at("devices")[0].at("needs_bytes");
  EXPECT_THAT(roomy.at("advice"), IsEmpty());
  const std::string less = absl::StrCat(needs - 1);
  const Outcome refused = Plan("job.yaml", {"--host-memory", less});
  ExpectOutcome(refused, absl::StatusCode::kResourceExhausted, "cpu needs");
  EXPECT_THAT(std::string(refused.status.message()),
              AllOf(HasSubstr(", 1 B too much"), HasSubstr("it fits with"), HasSubstr("=")));
  EXPECT_THAT(refused.out, AllOf(HasSubstr("policy/policy/0"), HasSubstr("too much")));
  const json plan = PlanJson("job.yaml", {"--host-memory", less});
  EXPECT_EQ(plan.at("fits"), false);
  // What it advises is true.
  EXPECT_EQ(PlanJson("job.yaml", {"--host-memory", less, "--set", plan.at("advice")[0]}).at("fits"), true);
}

TEST_F(PlanTest, AdmitsWhereNothingHelps) {
  const Outcome refused = Plan("job.yaml", {"--host-memory", "100MiB"});
  ExpectOutcome(refused, absl::StatusCode::kResourceExhausted, "no setting saves that much");
}

TEST_F(PlanTest, SumsEachDeviceAndAsksForItsMemory) {
  WriteJob(
      "actors:\n"
      "  - {role: policy, model: model, device: 'cuda:0'}\n"
      "  - {role: reward, model: model, device: 'cuda:1'}\n"
      "  - {role: cost, address: '127.0.0.1:5000'}\n"
      "  - {role: critic, name: cost, model: model}\n"
      "constraints: [{name: cost, threshold: 0}]\n");
  const std::vector<std::string> host = {"--host-memory", "100GiB"};
  const json unknown = PlanJson("job.yaml", host);
  EXPECT_TRUE(unknown.at("fits").is_null());
  EXPECT_TRUE(Named(unknown.at("devices"), "device", "cuda:0").at("there_bytes").is_null());
  ExpectOutcome(Plan("job.yaml", host), absl::StatusCode::kFailedPrecondition, "--device-memory");
  EXPECT_EQ(PlanJson("job.yaml", {"--host-memory", "100GiB", "--device-memory", "80GiB"}).at("fits"), true);
  ExpectOutcome(Plan("job.yaml", {"--host-memory", "100GiB", "--device-memory", "2GiB"}),
                absl::StatusCode::kResourceExhausted, "cuda:0 needs");
  for (const json& process : unknown.at("processes")) {
    if (process.at("device") == "cpu") {
      EXPECT_EQ(process.at("needs_of_host_bytes"), 0) << process;
    } else {
      EXPECT_GE(process.at("needs_of_host_bytes"), kHostReserveOfDevice) << process;
    }
  }
}

TEST_F(PlanTest, CountsTheFullestStageWhereRolesArePutAway) {
  const json kept = PlanJson("job.yaml", {"--host-memory", "100GiB"});
  std::vector<std::string> settings = {"--host-memory", "100GiB"};
  for (int i = 0; i < 4; ++i) {
    settings.insert(settings.end(), {"--set", absl::StrCat("actors.", i, ".offload=true")});
  }
  const json put_away = PlanJson("job.yaml", settings);
  std::map<std::string, int64_t> stages;
  for (const json& process : put_away.at("processes")) {
    const std::string name = process.at("name");
    const int64_t needs = process.at("needs_bytes"), away = process.value("away_bytes", int64_t{0});
    const bool coordinator = name == "rein-coordinator", policy = name.starts_with("policy"),
               critic = name.starts_with("critic"), rollout = name.starts_with("rollout");
    EXPECT_EQ(process.at("offload"), !coordinator) << name << ": also what the job implies";
    stages["sampling"] += policy ? away : needs;
    stages["training"] += policy || critic || coordinator ? needs : away;
    stages["publishing"] += policy || rollout || coordinator ? needs : away;
  }
  const int64_t needs = put_away.at("devices")[0].at("needs_bytes");
  EXPECT_EQ(needs, std::max({stages["sampling"], stages["training"], stages["publishing"]}));
  EXPECT_LT(needs, kept.at("devices")[0].at("needs_bytes").get<int64_t>());
}

TEST_F(PlanTest, CountsAdaptersInPlaceOfWhatTheyAdapt) {
  const json whole = PlanJson("sft.yaml", {"--kind", "sft"}).at("processes")[0];
  const json adapters = PlanJson("sft.yaml", {"--kind", "sft", "--set", "lora.rank=2"}).at("processes")[0];
  EXPECT_EQ(adapters.at("parameters"), whole.at("parameters"));
  EXPECT_LT(adapters.at("trained_parameters"), whole.at("trained_parameters"));
  EXPECT_EQ(adapters.at("gradients_bytes"), 4 * adapters.at("trained_parameters").get<int64_t>());
  EXPECT_GT(adapters.at("weights_bytes"), whole.at("weights_bytes")) << "adapted weights are held twice";
}

TEST_F(PlanTest, ReadsTheFileOfEveryTrainer) {
  for (const char* kind : {"sft", "reward", "cost", "guard", "dpo"}) {
    const Outcome outcome = Plan("sft.yaml", {"--kind", kind, "--host-memory", "8GiB"});
    EXPECT_EQ(outcome.status, absl::OkStatus()) << kind;
    EXPECT_THAT(outcome.out, HasSubstr("to spare"));
  }
  const json dpo = PlanJson("sft.yaml", {"--kind", "dpo"}).at("processes")[0];
  EXPECT_EQ(dpo.at("sync_bytes"), dpo.at("weights_bytes")) << "the reference";
  const json refused = PlanJson("sft.yaml", {"--kind", "sft", "--host-memory", "200MiB"});
  EXPECT_EQ(refused.at("fits"), false);
  EXPECT_THAT(refused.at("advice"), Contains("optimizer.checkpoint_activations=true"));
}

// 23 outputs (guard/head/guard_head.h) of a model of width 32.
constexpr int64_t kGuardHead = 23 * (32 + 1);

TEST_F(PlanTest, CountsTheHeadOfAGuardBesideItsModel) {
  const json model = PlanJson("sft.yaml", {"--kind", "sft"}).at("processes")[0];
  const json guard = PlanJson("sft.yaml", {"--kind", "guard"}).at("processes")[0];
  const auto more = [&](const char* key) {
    return guard.at(key).get<int64_t>() - model.at(key).get<int64_t>();
  };
  EXPECT_EQ(more("parameters"), kGuardHead);
  EXPECT_EQ(more("trained_parameters"), kGuardHead);
  EXPECT_EQ(more("weights_bytes"), 4 * kGuardHead);
  EXPECT_EQ(more("gradients_bytes"), 4 * kGuardHead);
  EXPECT_EQ(more("optimizer_bytes"), 8 * kGuardHead);
  // It reads one position of a sequence and needs no logits.
  EXPECT_LT(more("activations_bytes"), 0);
}

TEST_F(PlanTest, CountsAGuardAmongTheActorsOfAJob) {
  const std::vector<std::string> host = {"--host-memory", "100GiB"};
  const int64_t without = PlanJson("job.yaml", host).at("devices")[0].at("needs_bytes");
  Write("job.yaml", absl::StrReplaceAll(ReadFile(folder_ / "job.yaml").value(),
                                        {{"constraints:", "  - {role: guard, model: model}\nconstraints:"}}));
  const json plan = PlanJson("job.yaml", host);
  const json guard = Named(plan.at("processes"), "name", "guard/guard/0");
  const json reference = Named(plan.at("processes"), "name", "reference/reference/0");
  EXPECT_EQ(guard.at("parameters"), reference.at("parameters").get<int64_t>() + kGuardHead);
  EXPECT_EQ(guard.at("weights_bytes"), reference.at("weights_bytes").get<int64_t>() + 4 * kGuardHead);
  EXPECT_EQ(guard.at("gradients_bytes"), 0);
  EXPECT_EQ(plan.at("devices")[0].at("needs_bytes"), without + guard.at("needs_bytes").get<int64_t>());
}

TEST_F(PlanTest, CountsActivationsInThePrecisionOfEachOptimizer) {
  const std::vector<std::string> sft = {"--kind", "sft"};
  const std::vector<std::string> mixed = {"--kind", "sft", "--set", "optimizer.precision=bfloat16"};
  const json whole = PlanJson("sft.yaml", sft).at("processes")[0];
  const json half = PlanJson("sft.yaml", mixed).at("processes")[0];
  for (const char* key : {"activations_bytes", "checkpointed_activations_bytes"})
    EXPECT_LT(half.at(key), whole.at(key)) << key;
  for (const char* key : {"weights_bytes", "gradients_bytes", "optimizer_bytes"})
    EXPECT_EQ(half.at(key), whole.at(key)) << key;

  const auto processes = [&](const char* optimizer) {
    return PlanJson("job.yaml", {"--set", absl::StrCat(optimizer, ".precision=bfloat16")}).at("processes");
  };
  const json policy = processes("policy_optimizer"), critic = processes("critic_optimizer");
  const auto activations = [](const json& list, const char* name) {
    return Named(list, "name", name).at("activations_bytes").get<int64_t>();
  };
  EXPECT_LT(activations(policy, "policy/policy/0"), activations(critic, "policy/policy/0"));
  EXPECT_GT(activations(policy, "critic/cost/0"), activations(critic, "critic/cost/0"));
  EXPECT_EQ(activations(policy, "reward/reward/0"), activations(critic, "reward/reward/0"));
}

TEST_F(PlanTest, RefusesWhatItCannotRead) {
  ExpectOutcome(Plan("absent.yaml", {}), absl::StatusCode::kNotFound, "absent.yaml");
  ExpectOutcome(Plan("sft.yaml", {"--kind", "ppo"}), absl::StatusCode::kInvalidArgument, "usage");
  ExpectOutcome(Plan("job.yaml", {"--device-memory", "much"}), absl::StatusCode::kInvalidArgument, "'much'");
  ExpectOutcome(Plan("job.yaml", {"--set", "actors.0.freeze=[tower]"}), absl::StatusCode::kInvalidArgument,
                "policy/policy: freeze: \"tower\"");
  Write("model/config.json", "{\"model_type\": \"gpt2\"}");
  ExpectOutcome(Plan("job.yaml", {}), absl::StatusCode::kUnimplemented, "gpt2");
}

TEST(Bytes, AreReadAndWrittenWithUnits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(int64_t{3} << 29), "1.5 GiB");
  EXPECT_EQ(FormatBytes(int64_t{512} << 20), "512 MiB");
  EXPECT_EQ(ParseBytes("80GiB").value(), int64_t{80} << 30);
  EXPECT_EQ(ParseBytes("1.5 KiB").value(), 1536);
  EXPECT_EQ(ParseBytes("1000").value(), 1000);
  for (const char* wrong : {"", "GiB", "-1", "0", "80GB", "1e300TiB", "nan"})
    EXPECT_EQ(ParseBytes(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
}

}  // namespace
}  // namespace rein::cli
