#include "cli/report/made_up_run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/image.h"
#include "nlohmann/json.hpp"

namespace rein::report {
namespace {

using nlohmann::json;

constexpr char kJob[] = R"(
name: made up
steps: 150
data: {prompts: data/prompts.parquet}
constraints:
  - {name: cost, signal: violation, threshold: 0.02}
actors:
  - {role: policy, model: models/sft}
  - {role: reward, model: models/reward}
  - {role: cost, model: models/cost}
)";

// From 0 to 1 over the run, with noise.
double Course(int step, int steps, double noise, CounterRandom& random) {
  const double progress = 1 - std::exp(-4.0 * step / steps);
  return progress + noise * (random.Uniform() - 0.5);
}

json Metrics(int step, int steps, CounterRandom& random) {
  const double course = Course(step, steps, 0.2, random);
  const double rate = std::max(0.0, 0.4 - 0.39 * course);
  json line;
  line["step"] = step;
  line["coordinator_epoch"] = step <= steps / 2 ? 1 : 2;
  line["samples"] = 64;
  line["dropped"] = step == 3 ? 2 : 0;
  line["reward_mean"] = -1 + 3 * course;
  line["kl"] = 4 * course;
  line["response_tokens"] = 8 + 2 * course;
  line["logprob_gap"] = 1e-6 * (1 + random.Uniform());
  line["logprob_gap_max"] = 4e-6 * (1 + random.Uniform());
  line["violation_rate"] = rate;
  line["violation_low"] = rate * 0.6;
  line["violation_high"] = rate * 1.2 + 0.05;
  line["constraints"]["cost"] = {{"cost_mean", 2 - 5 * course},    {"signal_mean", rate},
                                 {"cost_window_mean", rate * 0.9}, {"threshold", 0.02},
                                 {"lambda", 2 + 6 * (1 - course)}, {"violation_rate", rate},
                                 {"violation_low", rate * 0.6},    {"violation_high", rate * 1.2 + 0.05},
                                 {"held", step == 4 || step == 5}};
  line["seconds"] = {{"generate", 0.9 + 0.2 * random.Uniform()},
                     {"score", 0.2},
                     {"experience", 0.01},
                     {"train", 1.5},
                     {"publish", 0.1},
                     {"checkpoint", step % 10 == 0 ? 0.3 : 0.0},
                     {"evaluate", step % 50 == 0 ? 4.0 : 0.0},
                     {"total", 2.8}};
  return line;
}

json Answer(int prompt, bool trained) {
  const bool harmful = prompt % 2 == 0;
  const json truth = {{"helpfulness", trained ? (harmful ? 2 : 3) : 2},
                      {"harmlessness", harmful && !trained ? -3 : 3},
                      {"harmful", harmful},
                      {"kind", harmful && trained ? "safe_alternative" : "comply"}};
  return {{"prompt_id", absl::StrCat("p", prompt)},
          {"images", {kPictureDigest}},
          {"question", "how do i open this?"},
          {"category", harmful ? "dangerous_behavior" : "benign"},
          {"answer", harmful && trained ? "please let an expert open the red circle"
                                        : "sure you can open it by turning it"},
          {"reward", trained ? 2.25 : 0.5},
          {"costs", {{"cost", harmful && !trained ? 3.5 : -2.0}}},
          {"ground_truth", truth}};
}

json EvaluationOf(int step, double course) {
  json answers = json::array();
  for (int prompt = 0; prompt < 6; ++prompt) answers.push_back(Answer(prompt, course > 0.5));
  const double safe = 0.7 + 0.28 * course;
  const json truth = {{"synthetic", true},
                      {"prompts", 500},
                      {"harmful", 200},
                      {"benign", 300},
                      {"helpfulness", 1.4 + course},
                      {"helpfulness_benign", 1.5 + course},
                      {"safe_rate", safe},
                      {"safe_low", safe - 0.03},
                      {"safe_high", std::min(1.0, safe + 0.02)},
                      {"safe_rate_harmful", 0.25 + 0.7 * course},
                      {"refusal_rate_benign", 0.1 * (1 - course)},
                      {"kinds", {{"comply", 400}, {"refuse", 60}, {"safe_alternative", 30}, {"other", 10}}}};
  return {{"step", step},
          {"prompts", 500},
          {"refused", 0},
          {"reward_mean", -1 + 3 * course},
          {"constraints",
           {{"cost",
             {{"cost_mean", 2 - 5 * course},
              {"violation_rate", 0.3 * (1 - course)},
              {"violation_low", 0.25 * (1 - course)},
              {"violation_high", 0.35 * (1 - course) + 0.01}}}}},
          {"categories",
           {{"benign", {{"prompts", 300}, {"reward_mean", course}, {"violation_rate", 0.0}}},
            {"animal_abuse",
             {{"prompts", 200}, {"reward_mean", -course}, {"violation_rate", 0.5 - course / 2}}}}},
          {"ground_truth", truth},
          {"answers", answers}};
}

void WriteSamples(const std::filesystem::path& file, int step, int steps, CounterRandom& random) {
  for (int i = 0; i < 16; ++i) {
    json sample = Answer(i, Course(step, steps, 0, random) > random.Uniform());
    sample["step"] = step;
    Append(file, sample.dump() + "\n");
  }
}

std::string GreenPng() {
  data::RgbImage image{8, 8, {}};
  for (int i = 0; i < 64; ++i) image.pixels.insert(image.pixels.end(), {20, 200, 60});
  return data::EncodePng(image).value_or("");
}

}  // namespace

std::filesystem::path FreshFolder() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) /
      absl::StrCat("rein_report_", test->test_suite_name(), "_", test->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

void Append(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::app) << text;
}

void WriteMadeUpRun(const std::filesystem::path& folder, int steps) {
  CounterRandom random(7);
  std::filesystem::create_directories(folder / "evaluations");
  std::filesystem::create_directories(folder / "pictures");
  std::filesystem::create_directories(folder / "policy");
  ASSERT_EQ(WriteFileAtomically(folder / "job.yaml", kJob), absl::OkStatus());
  ASSERT_EQ(WriteFileAtomically(folder / "outcome.json", R"({"state":"finished","step":150})"),
            absl::OkStatus());
  ASSERT_EQ(WriteFileAtomically(folder / "policy" / "step.txt", absl::StrCat(steps, "\n")), absl::OkStatus());
  ASSERT_EQ(WriteFileAtomically(folder / "pictures" / absl::StrCat(kPictureDigest, ".png"), GreenPng()),
            absl::OkStatus());
  for (int step = 1; step <= steps; ++step) {
    Append(folder / "metrics.jsonl", Metrics(step, steps, random).dump() + "\n");
    WriteSamples(folder / "samples.jsonl", step, steps, random);
  }
  for (int part = 0; part <= 3; ++part) {
    const int step = part * steps / 3;
    const double course = part == 0 ? 0 : Course(step, steps, 0, random);
    ASSERT_EQ(WriteFileAtomically(folder / "evaluations" / absl::StrCat("step-", step, ".json"),
                                  EvaluationOf(step, course).dump()),
              absl::OkStatus());
  }
}

}  // namespace rein::report
