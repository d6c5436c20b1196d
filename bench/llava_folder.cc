#include "bench/llava_folder.h"

#include <string>

#include "base/file.h"
#include "bench/inputs.h"
#include "data/base_model.h"
#include "nlohmann/json.hpp"

namespace rein::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kPixels = 336;
constexpr int kPatch = 14;

Json ReadJson(const std::filesystem::path& file) { return Json::parse(Require(ReadFile(file))); }

void WriteJson(const std::filesystem::path& file, const Json& value) {
  Require(WriteFileAtomically(file, value.dump(2) + "\n"));
}

// The sizes of LLaVA-1.5-7B, or of a narrower and shallower model with the same tensors a layer.
void SetSizes(Json& config, bool full) {
  Json& text = config["text_config"];
  text["vocab_size"] = 32064;
  text["hidden_size"] = full ? 4096 : 1024;
  text["intermediate_size"] = full ? 11008 : 2816;
  text["num_hidden_layers"] = full ? 32 : 20;
  for (const char* key : {"num_attention_heads", "num_key_value_heads"}) text[key] = full ? 32 : 8;
  text.erase("head_dim");
  text["max_position_embeddings"] = 4096;
  Json& vision = config["vision_config"];
  vision["hidden_size"] = 1024;
  vision["intermediate_size"] = 4096;
  vision["num_hidden_layers"] = full ? 24 : 4;
  vision["num_attention_heads"] = 16;
  vision["image_size"] = kPixels;
  vision["patch_size"] = kPatch;
  config["image_seq_length"] = (kPixels / kPatch) * (kPixels / kPatch);
}

}  // namespace

void WriteLlava(const std::string& size, const std::filesystem::path& folder) {
  if (size != "7b" && size != "small")
    Require(absl::InvalidArgumentError("--llava must be 7b or small, got '" + size + "'"));
  const TemporaryFolder base;
  const std::filesystem::path without_weights = base.path() / "base";
  Require(data::WriteBaseModel("llava", kPixels, without_weights));
  Json config = ReadJson(without_weights / "config.json");
  SetSizes(config, size == "7b");
  WriteJson(without_weights / "config.json", config);
  Json processor = ReadJson(without_weights / "processor_config.json");
  processor["patch_size"] = kPatch;
  WriteJson(without_weights / "processor_config.json", processor);
  const auto model = Require(models::MakeRandomModel(without_weights, /*seed=*/3, {.dtype = at::kBFloat16}));
  Require(models::SaveModel(*model, folder));
}

}  // namespace rein::bench
