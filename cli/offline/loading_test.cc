// Model folders as verbs load them: what is wrong with one is named, and a large one tells how far it is.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/offline/load_progress.h"
#include "cli/verb_under_test.h"
#include "models/safetensors.h"
#include "nlohmann/json.hpp"
#include "training/tiny_llava.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

using absl::StatusCode;
using nlohmann::json;
using ::testing::HasSubstr;

void AddVerbs(CLI::App& rein, Action& action) {
  AddLogitsCommand(rein, action);
  AddScoreCommand(rein, action);
  AddGenerateCommand(rein, action);
}

fs::path TinyModel() {
  const fs::path folder = training::FreshFolder("model");
  training::WriteTinyModel(folder, 1);
  return folder;
}

absl::Status GenerateStatus(const fs::path& model, const std::string& dtype = "float32") {
  return RunVerb(AddVerbs, {"generate", "--model", model.string(), "--prompt", "hi", "--max-tokens", "1",
                            "--dtype", dtype})
      .status;
}

void ChangeTensors(const fs::path& model, const std::function<void(models::NamedTensors& tensors)>& change) {
  auto tensors = models::ReadSafetensors(model / "model.safetensors");
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  change(*tensors);
  ASSERT_EQ(models::WriteSafetensors(model / "model.safetensors", *tensors), absl::OkStatus());
}

void ChangeJson(const fs::path& file, const std::function<void(json& value)>& change) {
  json value = json::parse(ReadFile(file).value());
  change(value);
  ASSERT_EQ(WriteFileAtomically(file, value.dump()), absl::OkStatus());
}

// The dtype of the first tensor, in the header only.
void ChangeHeader(const fs::path& model, const std::string& dtype) {
  const std::string file = ReadFile(model / "model.safetensors").value();
  uint64_t length = 0;
  file.copy(reinterpret_cast<char*>(&length), sizeof(length));
  auto header = nlohmann::ordered_json::parse(file.substr(sizeof(length), length));
  for (auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    entry["dtype"] = dtype;
    break;
  }
  const std::string text = header.dump();
  const uint64_t written = text.size();
  ASSERT_EQ(WriteFileAtomically(
                model / "model.safetensors",
                absl::StrCat(absl::string_view(reinterpret_cast<const char*>(&written), sizeof(written)),
                             text, file.substr(sizeof(length) + length))),
            absl::OkStatus());
}

void SetText(const fs::path& model, const std::string& key, int64_t value) {
  ChangeJson(model / "config.json", [&](json& config) { config["text_config"][key] = value; });
}

void SetFirstValue(const fs::path& model, double value, at::ScalarType dtype) {
  ChangeTensors(model, [&](models::NamedTensors& tensors) {
    for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
    tensors[0].second.view({-1})[0] = value;
  });
}

struct BadFolder {
  const char* name;
  std::function<void(const fs::path& model)> spoil;
  StatusCode code;
  std::vector<std::string> texts;
};

std::vector<BadFolder> BadFolders() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  return {
      {"NaN in float32",
       [=](const fs::path& model) { SetFirstValue(model, nan, at::kFloat); },
       StatusCode::kInvalidArgument,
       {"model.safetensors", "tensor ", "1 of ", "NaN", "checkpoint"}},
      {"NaN in bfloat16",
       [=](const fs::path& model) { SetFirstValue(model, nan, at::kBFloat16); },
       StatusCode::kInvalidArgument,
       {"model.safetensors", "tensor ", "1 of ", "NaN"}},
      {"infinity in float16",
       [=](const fs::path& model) { SetFirstValue(model, infinity, at::kHalf); },
       StatusCode::kInvalidArgument,
       {"model.safetensors", "tensor ", "1 of ", "infinite"}},
      {"integers",
       [](const fs::path& model) {
         ChangeTensors(model, [](models::NamedTensors& tensors) {
           tensors[0].second = tensors[0].second.to(at::kLong);
         });
       },
       StatusCode::kInvalidArgument,
       {"model.safetensors", "tensor ", "Long", "floating point"}},
      {"a dtype of 8 bits",
       [](const fs::path& model) { ChangeHeader(model, "F8_E4M3"); },
       StatusCode::kUnimplemented,
       {"model.safetensors", "tensor ", "F8_E4M3", "BF16"}},
      {"a wider model",
       [](const fs::path& model) { SetText(model, "hidden_size", 64); },
       StatusCode::kInvalidArgument,
       {"has shape", "the configuration asks for"}},
      {"a smaller vocabulary",
       [](const fs::path& model) { SetText(model, "vocab_size", 260); },
       StatusCode::kInvalidArgument,
       {"embed_tokens", "[264, 32]", "[260, 32]"}},
      {"more layers",
       [](const fs::path& model) { SetText(model, "num_hidden_layers", 3); },
       StatusCode::kInvalidArgument,
       {"missing", "layers.2.", "config.json"}},
      {"fewer layers",
       [](const fs::path& model) { SetText(model, "num_hidden_layers", 1); },
       StatusCode::kInvalidArgument,
       {"layers.1.", "does not ask for", "config.json"}},
      {"no layers",
       [](const fs::path& model) { SetText(model, "num_hidden_layers", 0); },
       StatusCode::kInvalidArgument,
       {"num_hidden_layers"}},
      {"more tokens than embeddings",
       [](const fs::path& model) {
         ChangeJson(model / "tokenizer.json", [](json& tokenizer) {
           json token = tokenizer["added_tokens"].back();
           for (int id = 259; id < 270; ++id) {
             token["id"] = id;
             token["content"] = absl::StrCat("<", id, ">");
             tokenizer["added_tokens"].push_back(token);
           }
         });
       },
       StatusCode::kInvalidArgument,
       {"tokenizer.json", "ids up to 269", "264 rows", "vocab_size"}},
      {"half of the weights",
       [](const fs::path& model) {
         const fs::path file = model / "model.safetensors";
         fs::resize_file(file, fs::file_size(file) / 2);
       },
       StatusCode::kInvalidArgument,
       {"model.safetensors", "truncated"}},
  };
}

TEST(Loading, NamesWhatIsWrongWithAFolder) {
  for (const BadFolder& bad : BadFolders()) {
    SCOPED_TRACE(bad.name);
    const fs::path model = TinyModel();
    bad.spoil(model);
    const absl::Status status = GenerateStatus(model);
    EXPECT_EQ(status.code(), bad.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(model.string()));
    for (const std::string& text : bad.texts) EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

TEST(Loading, TakesTheDtypesOfModelsOnly) {
  const fs::path model = TinyModel();
  for (const char* dtype : {"float32", "bfloat16", "float16"}) {
    EXPECT_EQ(GenerateStatus(model, dtype), absl::OkStatus()) << dtype;
  }
  const std::string out = (training::FreshFolder("out") / "logits.safetensors").string();
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{
           {"generate"}, {"logits", "--out", out}, {"score", "--response", "red"}}) {
    for (const char* dtype : {"float64", "int8"}) {
      std::vector<std::string> arguments = verb;
      for (const std::string& more : {std::string("--model"), model.string(), std::string("--prompt"),
                                      std::string("hi"), absl::StrCat("--dtype=", dtype)}) {
        arguments.push_back(more);
      }
      ExpectOutcome(RunVerb(AddVerbs, arguments), StatusCode::kUnimplemented,
                    absl::StrCat("dtype \"", dtype, "\" is not supported; supported: float32"));
    }
  }
}

TEST(Loading, NamesWeightsThatFloat16CannotHold) {
  const fs::path model = TinyModel();
  SetFirstValue(model, 1e6, at::kFloat);
  EXPECT_EQ(GenerateStatus(model, "bfloat16"), absl::OkStatus());
  const absl::Status status = GenerateStatus(model, "float16");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("too large for float16"));
}

// Loads 100 bytes in 100 steps of 100 ms.
std::string Shown(bool terminal) {
  std::ostringstream out;
  absl::Time now = absl::UnixEpoch();
  LoadProgressLine line(out, terminal, "/models/big", [&now] { return now; });
  for (int done = 1; done <= 100; ++done) {
    now += absl::Milliseconds(100);
    line.Show(done, 100);
  }
  return out.str();
}

TEST(LoadProgressLine, IsAtMostTenLinesWithoutATerminal) {
  const std::string text = Shown(false);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10);
  EXPECT_THAT(text, HasSubstr("loading big 50 %, 0.0 of 0.0 GB\n"));
  EXPECT_THAT(text, HasSubstr("loading big 100 %"));
}

TEST(LoadProgressLine, IsOneLineThatGoesOnATerminal) {
  const std::string text = Shown(true);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 0);
  EXPECT_THAT(text, HasSubstr("\rloading big 42 %, 0.0 of 0.0 GB\x1b[K"));
  EXPECT_TRUE(text.ends_with("\r\x1b[K"));
}

TEST(LoadProgressLine, IsSilentInTheFirstSecond) {
  for (const bool terminal : {false, true}) {
    std::ostringstream out;
    LoadProgressLine line(out, terminal, "small", [] { return absl::UnixEpoch(); });
    for (int done = 1; done <= 10; ++done) line.Show(done, 10);
    EXPECT_EQ(out.str(), "");
  }
}

}  // namespace
}  // namespace rein::cli
