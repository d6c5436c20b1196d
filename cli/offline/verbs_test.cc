// The offline verbs as the command line runs them, in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/handover.h"
#include "cli/offline/train_progress.h"
#include "cli/verb_under_test.h"
#include "data/preferences.h"
#include "data/scenes.h"
#include "models/processor.h"
#include "models/safetensors.h"
#include "nlohmann/json.hpp"
#include "training/tiny_llava.h"

namespace rein::cli {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using training::FreshFolder;
using training::WriteTinyModel;

void AddVerbs(CLI::App& rein, Action& action) {
  AddTrainCommand(rein, action);
  AddLogitsCommand(rein, action);
  AddScoreCommand(rein, action);
  AddGuardCommand(rein, action);
  AddGenerateCommand(rein, action);
  AddEvalCommand(rein, action);
  AddPlanCommand(rein, action);
}

Outcome RunRein(const std::vector<std::string>& arguments) { return RunVerb(AddVerbs, arguments); }

void ExpectError(const std::vector<std::string>& arguments, absl::StatusCode code, const std::string& text) {
  ExpectOutcome(RunRein(arguments), code, text);
}

std::filesystem::path TinyModel(uint64_t seed = 1) {
  const std::filesystem::path folder = FreshFolder(absl::StrCat("model_", seed));
  WriteTinyModel(folder, seed);
  return folder;
}

std::filesystem::path TinyScorer() {
  const auto model = training::MakeTinyModel("scorer_config", 3);
  model->AddScoreHead(3);
  const std::filesystem::path folder = FreshFolder("scorer");
  EXPECT_EQ(models::SaveModel(*model, folder), absl::OkStatus());
  return folder;
}

std::filesystem::path TinyPicture() {
  const std::filesystem::path file = FreshFolder("pictures") / "red.png";
  EXPECT_EQ(WriteFileAtomically(file, training::TinyPng(250, 10, 10)), absl::OkStatus());
  return file;
}

std::filesystem::path FewScenes() {
  const std::filesystem::path folder = FreshFolder("scenes");
  data::ScenesOptions options;
  options.train_rows = 12;
  options.evaluation_rows = 10;
  EXPECT_EQ(data::MakeScenes(options, folder), absl::OkStatus());
  return folder;
}

TEST(Verbs, RefuseWrongFlags) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"train"},
           {"train", "ppo", "x.yaml"},
           {"train", "dpo"},
           {"train", "sft"},
           {"logits", "--model", "m", "--prompt", "p"},
           {"score", "--model", "m", "--prompt", "p"},
           {"generate", "--model", "m"},
           {"generate", "--model", "m", "--prompt", "p", "--max-tokens", "0"},
           {"generate", "--model", "m", "--prompt", "p", "--temperature", "-1"},
           {"eval"},
           {"eval", "scenes", "--data", "d"},
       }) {
    ExpectError(arguments, absl::StatusCode::kInvalidArgument, "usage: ");
  }
}

TEST(Verbs, AreThoseThatReinHandsOver) {
  CLI::App rein("", "rein");
  Action action;
  AddVerbs(rein, action);
  size_t verbs = 0;
  for (const HandedOverVerb& verb : kHandedOverVerbs) {
    if (verb.program != std::string("rein-models")) continue;
    ++verbs;
    EXPECT_EQ(rein.get_subcommand(verb.verb)->get_description(), verb.about);
  }
  EXPECT_EQ(verbs, rein.get_subcommands({}).size());
}

TEST(Logits, AreThoseOfTheModel) {
  const std::filesystem::path model = TinyModel(), out = FreshFolder("out") / "logits.safetensors";
  const Outcome outcome = RunRein({"logits", "--model", model.string(), "--image", TinyPicture().string(),
                                   "--prompt", "what?", "--response", "red", "--out", out.string()});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  const auto tensors = models::ReadSafetensors(out);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  std::map<std::string, at::Tensor> by_name(tensors->begin(), tensors->end());
  const at::Tensor ids = by_name["input_ids"], logits = by_name["logits"];
  EXPECT_EQ(ids.scalar_type(), at::kLong);
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  EXPECT_EQ(logits.size(0), ids.size(0));
  EXPECT_EQ(logits.size(1), training::kTinyVocabulary);
  EXPECT_EQ((ids == training::kTinyImage).sum().item<int64_t>(), training::kTinyPlaceholders);
  EXPECT_EQ(ids[-1].item<int64_t>(), training::kTinyEnd);
  EXPECT_TRUE(at::isfinite(logits).all().item<bool>());
}

TEST(Logits, TakeRawTextAsItIs) {
  const std::filesystem::path out = FreshFolder("out") / "logits.safetensors";
  const Outcome outcome =
      RunRein({"logits", "--model", TinyModel().string(), "--prompt", "AB", "--raw", "--out", out.string()});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  const auto tensors = models::ReadSafetensors(out);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  std::map<std::string, at::Tensor> by_name(tensors->begin(), tensors->end());
  EXPECT_TRUE(at::equal(by_name["input_ids"], at::tensor({65, 66}, at::kLong)));
}

TEST(Logits, RefuseMorePicturesThanPlaceholders) {
  const Outcome outcome =
      RunRein({"logits", "--model", TinyModel().string(), "--image", TinyPicture().string(), "--prompt", "AB",
               "--raw", "--out", (FreshFolder("out") / "logits.safetensors").string()});
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kInvalidArgument) << outcome.status;
}

TEST(Score, PrintsOneNumber) {
  const std::string model = TinyScorer().string(), picture = TinyPicture().string();
  double scores[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = RunRein({"score", "--model", model, "--image", picture, "--prompt", "what?",
                                     "--response", i == 0 ? "red" : "something else"});
    ASSERT_TRUE(outcome.status.ok()) << outcome.status;
    ASSERT_TRUE(absl::SimpleAtod(outcome.out, &scores[i])) << outcome.out;
  }
  EXPECT_NE(scores[0], scores[1]);
}

TEST(Score, NeedsAScoreHead) {
  ExpectError({"score", "--model", TinyModel().string(), "--prompt", "what?", "--response", "red"},
              absl::StatusCode::kFailedPrecondition, "score head");
}

TEST(Generate, IsTheSameForTheSameSeed) {
  const std::string model = TinyModel().string();
  const auto generate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"generate", "--model",      model, "--prompt",
                                          "hello",    "--max-tokens", "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = RunRein(arguments);
    EXPECT_TRUE(outcome.status.ok()) << outcome.status;
    return outcome.out;
  };
  EXPECT_EQ(generate({"--greedy"}), generate({"--temperature", "0"}));
  EXPECT_EQ(generate({"--seed", "5"}), generate({"--seed", "5"}));
  EXPECT_NE(generate({"--seed", "5"}), generate({"--seed", "6"}));
  EXPECT_THAT(generate({}), HasSubstr("\n"));
}

TEST(Generate, NamesAPictureThatIsNone) {
  const std::filesystem::path file = FreshFolder("pictures") / "broken.png";
  ASSERT_EQ(WriteFileAtomically(file, "\x89PNG\r\n\x1a\n rubbish"), absl::OkStatus());
  const std::string model = TinyModel().string();
  ExpectError({"generate", "--model", model, "--image", file.string(), "--prompt", "what?"},
              absl::StatusCode::kInvalidArgument, "broken.png");
  ExpectError({"generate", "--model", model, "--image", "/nowhere/none.png", "--prompt", "what?"},
              absl::StatusCode::kNotFound, "none.png");
}

TEST(Generate, NamesWhatIsWrongWithAModelFolder) {
  ExpectError({"generate", "--model", "/nowhere", "--prompt", "what?"}, absl::StatusCode::kNotFound,
              "/nowhere");
  const std::filesystem::path model = TinyModel();
  std::filesystem::remove(model / "model.safetensors");
  ASSERT_EQ(WriteFileAtomically(model / "pytorch_model.bin", "pickle"), absl::OkStatus());
  ExpectError({"generate", "--model", model.string(), "--prompt", "what?"}, absl::StatusCode::kUnimplemented,
              "safetensors");
}

TEST(Generate, RefusesMoreTokensThanTheModelTakes) {
  ExpectError({"generate", "--model", TinyModel().string(), "--prompt", "what?", "--max-tokens", "5000"},
              absl::StatusCode::kInvalidArgument, "max_position_embeddings");
}

TEST(EvalScenes, JudgesEachModel) {
  const std::filesystem::path data = FewScenes() / "evaluation.parquet",
                              out = FreshFolder("out") / "out.json";
  const std::string scorer = TinyScorer().string();
  const Outcome outcome = RunRein({"eval", "scenes", "--data", data.string(), "--prompts", "5", "--model",
                                   absl::StrCat("one|two=", TinyModel(1).string()), "--model",
                                   absl::StrCat("other=", TinyModel(2).string()), "--reward", scorer,
                                   "--cost", scorer, "--out", out.string()});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_THAT(outcome.out, HasSubstr("Synthetic data (scenes)"));
  EXPECT_THAT(outcome.out, HasSubstr("| one\\|two | "));
  const json result = json::parse(ReadFile(out).value_or(""));
  EXPECT_EQ(result["synthetic"], true);
  EXPECT_EQ(result["prompts"], 5);
  ASSERT_EQ(result["models"].size(), 2u);
  EXPECT_EQ(result["models"][0]["name"], "one|two");
  const json& truth = result["models"][0]["ground_truth"];
  EXPECT_EQ(truth["prompts"], 5);
  EXPECT_EQ(truth["harmful"], 2);
  // A model with random weights says nothing that means anything.
  EXPECT_EQ(truth["kinds"]["other"], 5);
  EXPECT_EQ(truth["safe_rate"], 1.0);
  EXPECT_EQ(result["models"][0]["reward_mean"], result["models"][0]["cost_mean"]);
  const double rate = result["models"][0]["violation_rate"];
  EXPECT_LE(result["models"][0]["violation_low"].get<double>(), rate);
  EXPECT_GE(result["models"][0]["violation_high"].get<double>(), rate);
}

TEST(EvalScenes, RefusesOtherDataAndNamelessModels) {
  data::PreferenceRow row{.question = "what is this?",
                          .pictures = {{training::TinyPng(1, 2, 3), "photo.jpg"}},
                          .response = {"a", "b"},
                          .more_helpful = 1,
                          .safer = 2,
                          .category = "benign"};
  const std::filesystem::path file = FreshFolder("data") / "photos.parquet";
  ASSERT_EQ(data::WritePreferences(file, {row}), absl::OkStatus());
  ExpectError({"eval", "scenes", "--data", file.string(), "--model", "a=/nowhere"},
              absl::StatusCode::kInvalidArgument, "photos.parquet");
  for (const char* model : {"models/sft", "=models/sft", "SFT="}) {
    ExpectError({"eval", "scenes", "--data", file.string(), "--model", model},
                absl::StatusCode::kInvalidArgument, "NAME=DIR");
  }
}

std::filesystem::path WriteTrainFile(const std::string& text) {
  const std::filesystem::path file = FreshFolder("job") / "train.yaml";
  EXPECT_EQ(WriteFileAtomically(file, text), absl::OkStatus());
  return file;
}

TEST(Train, WritesAModelThatAnswersAndRefusesAFullOutput) {
  const std::filesystem::path data = FewScenes(), output = FreshFolder("output") / "sft";
  const std::filesystem::path file = WriteTrainFile(
      absl::StrCat("model: ", TinyModel().string(), "\ndata: ", (data / "sft.parquet").string(),
                   "\noutput: ", output.string(), "\nsteps: 50\nbatch: 4\n"));
  const std::vector<std::string> arguments = {"train",   "sft",   file.string(), "--set",
                                              "steps=3", "--set", "threads=1"};
  const Outcome outcome = RunRein(arguments);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_THAT(outcome.out, HasSubstr("token_accuracy"));
  EXPECT_TRUE(RunRein({"generate", "--model", output.string(), "--prompt", "hello", "--max-tokens", "3"})
                  .status.ok());
  ExpectError(arguments, absl::StatusCode::kAlreadyExists, output.string());
}

TEST(Train, WritesScorers) {
  const std::filesystem::path data = FewScenes();
  const std::string model = TinyModel().string();
  for (const char* kind : {"reward", "cost"}) {
    const std::filesystem::path output = FreshFolder("output") / kind;
    const std::filesystem::path file =
        WriteTrainFile(absl::StrCat("model: ", model, "\ndata: ", (data / "preferences.parquet").string(),
                                    "\noutput: ", output.string(), "\nsteps: 2\nbatch: 2\n"));
    const Outcome outcome = RunRein({"train", kind, file.string()});
    ASSERT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_THAT(outcome.out, HasSubstr("ranking_accuracy"));
    EXPECT_TRUE(
        RunRein({"score", "--model", output.string(), "--prompt", "a", "--response", "b"}).status.ok());
  }
}

TEST(Train, WritesAPolicyFromPreferencesWithItsAdapters) {
  const std::filesystem::path data = FewScenes(), output = FreshFolder("output") / "dpo";
  const std::filesystem::path file = WriteTrainFile(
      absl::StrCat("model: ", TinyModel().string(), "\ndata: ", (data / "preferences.parquet").string(),
                   "\noutput: ", output.string(), "\nsteps: 2\nbatch: 2\npreference: safe\n",
                   "lora: {rank: 2, targets: [q_proj]}\nfreeze: [vision]\nevaluate_every: 1\nkeep: best\n"));
  const Outcome outcome = RunRein({"train", "dpo", file.string()});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_THAT(outcome.out, HasSubstr("margin"));
  EXPECT_TRUE(std::filesystem::exists(output / "adapter" / "adapter_model.safetensors"));
  EXPECT_TRUE(RunRein({"generate", "--model", output.string(), "--prompt", "hello", "--max-tokens", "3"})
                  .status.ok());
}

TEST(Train, ResumesOnlyWhereThereIsAState) {
  const std::filesystem::path data = FewScenes(), output = FreshFolder("output") / "sft";
  const std::filesystem::path file = WriteTrainFile(
      absl::StrCat("model: ", TinyModel().string(), "\ndata: ", (data / "sft.parquet").string(),
                   "\noutput: ", output.string(), "\nsteps: 2\n"));
  ExpectError({"train", "sft", file.string(), "--resume"}, absl::StatusCode::kNotFound, "sft.training");
}

TEST(Train, NamesAWrongKey) {
  ExpectError({"train", "sft", WriteTrainFile("modle: x\ndata: y\noutput: z\nsteps: 1\n").string()},
              absl::StatusCode::kInvalidArgument, "did you mean 'model'?");
}

training::TrainProgress ProgressAt(int64_t step, int64_t total) {
  return {step, total, {{"loss", 0.5}, {"accuracy", 0.75}, {"learning_rate", 1e-3}}};
}

TEST(TrainProgressLine, IsTenLinesWithoutATerminal) {
  std::ostringstream out;
  absl::Time now = absl::UnixEpoch();
  TrainProgressLine line(out, false, [&now] { return now; });
  for (int step = 1; step <= 100; ++step) {
    now += absl::Seconds(2);
    line.Show(ProgressAt(step, 100));
  }
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_THAT(text, HasSubstr("step 50/100  loss 0.5  accuracy 0.75  30 a minute, 1 min 40 s left\n"));
  EXPECT_THAT(text, Not(HasSubstr("step 51/100")));
}

TEST(TrainProgressLine, IsOneLineOnATerminal) {
  std::ostringstream out;
  TrainProgressLine line(out, true);
  for (int step = 1; step <= 9; ++step) line.Show(ProgressAt(step, 9));
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\r'), 9);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(TrainProgressLine, TellsThePaceOfAResumedTraining) {
  std::ostringstream out;
  absl::Time now = absl::UnixEpoch();
  TrainProgressLine line(out, true, [&now] { return now; });
  for (int step = 81; step <= 90; ++step) {
    now += absl::Seconds(2);
    line.Show(ProgressAt(step, 100));
  }
  EXPECT_THAT(out.str(), HasSubstr("step 90/100  loss 0.5  accuracy 0.75  30 a minute, 20 s left"));
}

TEST(TrainProgressLine, AlwaysShowsEvaluations) {
  std::ostringstream out;
  TrainProgressLine line(out, false);
  training::TrainProgress progress = ProgressAt(7, 1000);
  progress.metrics["evaluation_loss"] = 0.25;
  line.Show(ProgressAt(6, 1000));
  line.Show(progress);
  EXPECT_THAT(out.str(), testing::EndsWith("\nevaluation at step 7  loss 0.25\n"));
}

}  // namespace
}  // namespace rein::cli
