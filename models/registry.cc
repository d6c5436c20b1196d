// Which class serves which model_type.
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/decoder_model.h"
#include "models/idefics3/model.h"
#include "models/idefics3/processor.h"
#include "models/json.h"
#include "models/llava/model.h"
#include "models/llava/processor.h"
#include "models/llava_next/model.h"
#include "models/llava_next/processor.h"
#include "models/processor.h"
#include "models/qwen2_vl/model.h"
#include "models/qwen2_vl/processor.h"
#include "models/vision_language_model.h"

namespace rein::models {
namespace {

struct Family {
  const char* model_type;
  DecoderModel::Maker make;
  absl::StatusOr<std::unique_ptr<Processor>> (*load_processor)(const std::filesystem::path&);
};

constexpr Family kFamilies[] = {
    {"idefics3", Idefics3Model::Make, Idefics3Processor::Load},
    {"llava", LlavaModel::Make, LlavaProcessor::Load},
    {"llava_next", LlavaNextModel::Make, LlavaNextProcessor::Load},
    {"qwen2_vl", Qwen2VlModel::Make, Qwen2VlProcessor::Load},
    {"smolvlm", Idefics3Model::Make, Idefics3Processor::Load},
};

absl::StatusOr<const Family*> FamilyOf(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const SideFiles files, ReadSideFiles(folder));
  const std::string where = (folder / "config.json").string();
  REIN_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(files.at("config.json"), where));
  const Fields root(json, where);
  REIN_ASSIGN_OR_RETURN(const std::string type, root.String("model_type", ""));
  std::string supported;
  for (const Family& family : kFamilies) {
    if (type == family.model_type) return &family;
    absl::StrAppend(&supported, supported.empty() ? "" : ", ", family.model_type);
  }
  return root.Unsupported("model_type", type, supported);
}

absl::Status CheckDtype(at::ScalarType dtype) {
  if (dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("models in ", c10::toString(dtype),
                                               " are not supported; supported: float32, bfloat16, float16"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> LoadModel(const std::filesystem::path& folder,
                                                               const LoadOptions& options) {
  REIN_RETURN_IF_ERROR(CheckDtype(options.dtype));
  REIN_ASSIGN_OR_RETURN(const Family* family, FamilyOf(folder));
  return DecoderModel::Load(folder, options, family->make);
}

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> MakeRandomModel(const std::filesystem::path& folder,
                                                                     uint64_t seed,
                                                                     const LoadOptions& options) {
  REIN_RETURN_IF_ERROR(CheckDtype(options.dtype));
  REIN_ASSIGN_OR_RETURN(const Family* family, FamilyOf(folder));
  return DecoderModel::MakeRandom(folder, seed, options, family->make);
}

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> OutlineModel(const std::filesystem::path& folder,
                                                                  at::ScalarType dtype) {
  REIN_RETURN_IF_ERROR(CheckDtype(dtype));
  REIN_ASSIGN_OR_RETURN(const Family* family, FamilyOf(folder));
  return DecoderModel::Outline(folder, {.dtype = dtype}, family->make);
}

absl::StatusOr<std::unique_ptr<Processor>> Processor::Load(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const Family* family, FamilyOf(folder));
  return family->load_processor(folder);
}

}  // namespace rein::models
