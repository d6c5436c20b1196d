// Rubbish in: a clear error, a right exit code, nothing left running.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A copy of the SFT model that a test may damage.
fs::path DamagedCopy(const std::string& name) {
  const fs::path copy = TinyWorld().folder / "damaged" / name;
  fs::create_directories(copy.parent_path());
  fs::copy(TinyWorld().sft, copy, fs::copy_options::recursive);
  return copy;
}

// The job with this policy; expects that it fails and says `expected`.
void ExpectJobFails(const std::string& name, const std::vector<std::string>& settings,
                    const std::string& expected) {
  Job job(name, settings);
  EXPECT_NE(job.Wait(), 0) << name;
  EXPECT_THAT(job.Output(), HasSubstr(expected)) << name;
  EXPECT_THAT(ProcessesWithArgument(job.folder().string()), IsEmpty());
}

TEST(BadInputJob, IsRefusedBeforeAnythingStarts) {
  ExpectJobFails("bad_key", {"stpes=1"}, "did you mean 'steps'?");
  ExpectJobFails("bad_number", {"steps=-1"}, "out of range");
  ExpectJobFails("bad_model", {"actors.0.model=/nowhere"}, "no model folder at /nowhere");
  ExpectJobFails("bad_port", {"actors.0.port=5000", "actors.2.port=5000"}, "share port 5000");
}

TEST(BadInputJob, ThatCannotFitIsRefusedBeforeAnythingStarts) {
  Job job("too_large", {"rollout.kv_cache_bytes=1000000000000000"});
  EXPECT_EQ(job.Wait(), 1);
  EXPECT_THAT(job.Output(), HasSubstr("it does not fit: cpu needs 909 TiB"));
  EXPECT_FALSE(fs::exists(job.folder() / "job.yaml"));
}

TEST(BadInputModel, TruncatedWeightsAreNamed) {
  const fs::path model = DamagedCopy("truncated");
  fs::resize_file(model / "model.safetensors", fs::file_size(model / "model.safetensors") - 100);
  ExpectJobFails("truncated", {absl::StrCat("actors.0.model=", model.string()), "limits.max_restarts=0"},
                 "model.safetensors");
}

TEST(BadInputModel, MissingTokenizerIsNamed) {
  const fs::path model = DamagedCopy("no_tokenizer");
  fs::remove(model / "tokenizer.json");
  ExpectJobFails("no_tokenizer", {absl::StrCat("actors.0.model=", model.string()), "limits.max_restarts=0"},
                 "tokenizer.json");
}

TEST(BadInputModel, AChatTemplateThatLoopsForEverIsNamedBeforeTraining) {
  const fs::path model = DamagedCopy("endless");
  std::ofstream(model / "chat_template.jinja")
      << "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
  ExpectJobFails("endless", {absl::StrCat("actors.0.model=", model.string()), "limits.max_restarts=0"},
                 "chat_template.jinja");
  EXPECT_FALSE(fs::exists(RunFolder("endless") / "metrics.jsonl"));
  const std::string file = (TinyWorld().folder / "sft.yaml").string();
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{
           {"rein", "generate", "--model", model.string(), "--prompt", "hello"},
           {"rein", "score", "--model", model.string(), "--prompt", "hello", "--response", "you"},
           {"rein", "train", "sft", file, "--set", absl::StrCat("model=", model.string()), "--set",
            absl::StrCat("output=", (TinyWorld().folder / "models/endless").string())}}) {
    const CommandResult result = RunCommand(verb);
    EXPECT_EQ(result.exit_code, 1) << verb[1];
    EXPECT_THAT(result.err, HasSubstr("chat_template.jinja")) << verb[1];
  }
}

TEST(BadInputModel, PickleIsRefusedWithTheConversion) {
  const fs::path model = DamagedCopy("pickle");
  fs::remove(model / "model.safetensors");
  std::ofstream(model / "pytorch_model.bin") << "pickle";
  const CommandResult result =
      RunCommand({"rein", "generate", "--model", model.string(), "--prompt", "hello"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("safetensors"));
}

TEST(BadInputData, IsNamed) {
  const fs::path broken = TinyWorld().folder / "broken.parquet";
  std::ofstream(broken) << "not parquet";
  ExpectJobFails("bad_data", {absl::StrCat("data.prompts=", broken.string())}, "broken.parquet");
  const CommandResult inspect = RunCommand({"rein", "data", "inspect", broken.string()});
  EXPECT_EQ(inspect.exit_code, 1);
  EXPECT_THAT(inspect.err, HasSubstr("parquet"));
}

TEST(BadInputImage, IsRefused) {
  const fs::path image = TinyWorld().folder / "broken.png";
  std::ofstream(image) << "\x89PNG\r\n\x1a\n rubbish";
  const CommandResult result = RunCommand({"rein", "generate", "--model", TinyWorld().sft.string(), "--image",
                                           image.string(), "--prompt", "what is this"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("broken.png"));
}

}  // namespace
}  // namespace rein::system_test
