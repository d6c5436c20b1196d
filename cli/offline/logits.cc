// rein logits: what a model computes for a prompt, for comparing with any other implementation.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command.h"
#include "cli/offline/model_folder.h"
#include "models/safetensors.h"
#include "training/guard.h"

namespace rein::cli {
namespace {

struct Flags {
  std::string model, prompt, response, out;
  std::vector<std::string> images;
  std::string dtype = "float32";
  bool raw = false;
};

absl::StatusOr<std::vector<int32_t>> Encode(const Flags& flags, const models::Processor& processor,
                                            const std::vector<models::ProcessedImage>& images) {
  REIN_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, flags.raw
                                                         ? processor.EncodeRaw(flags.prompt, images)
                                                         : processor.EncodePrompt(flags.prompt, images));
  if (!flags.response.empty()) {
    const std::vector<int32_t> response = processor.EncodeResponse(flags.response);
    tokens.insert(tokens.end(), response.begin(), response.end());
  }
  if (tokens.empty()) return absl::InvalidArgumentError("the prompt has no tokens; at least 1 is needed");
  return tokens;
}

absl::Status WriteLogits(const Flags& flags) {
  const c10::NoGradGuard no_grad;
  REIN_ASSIGN_OR_RETURN(const ModelFolder folder, LoadModelFolder(flags.model, flags.dtype));
  REIN_ASSIGN_OR_RETURN(const std::vector<models::ProcessedImage> images,
                        ReadPictures(*folder.processor, flags.images));
  REIN_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, Encode(flags, *folder.processor, images));
  models::PackedInput input;
  input.token_ids = at::tensor(tokens, at::kInt).to(at::kLong);
  input.cu_seqlens = {0, static_cast<int64_t>(tokens.size())};
  if (!images.empty()) input.images = folder.model->EncodeImages(images);
  REIN_ASSIGN_OR_RETURN(const at::Tensor hidden, folder.model->Forward(input));
  const at::Tensor logits = folder.model->Logits(hidden).to(at::kFloat);
  REIN_RETURN_IF_ERROR(
      models::WriteSafetensors(flags.out, {{"input_ids", input.token_ids}, {"logits", logits}}));
  printf("%s: input_ids [%zu], logits [%zu, %lld]\n", flags.out.c_str(), tokens.size(), tokens.size(),
         static_cast<long long>(logits.size(1)));
  return absl::OkStatus();
}

}  // namespace

void AddLogitsCommand(CLI::App& rein, Action& action) {
  CLI::App* verb = rein.add_subcommand(
      "logits", "Write input_ids [T] and logits [T, V] of a prompt to a safetensors file");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--model", flags->model, "model folder")->required();
  verb->add_option("--prompt", flags->prompt, "the question")->required();
  verb->add_option("--image", flags->images, "a picture: PNG, JPEG or WebP; may be given several times")
      ->allow_extra_args(false);
  verb->add_option("--response", flags->response, "an answer that follows the prompt, with its end token");
  verb->add_option("--dtype", flags->dtype, "of weights: float32 (default), bfloat16, float16");
  verb->add_flag("--raw", flags->raw,
                 "take the text as it is, without the chat template; placeholders are still expanded");
  verb->add_option("--out", flags->out, "file to write: input_ids int64 [T], logits float32 [T, V]")
      ->required();
  verb->callback([&action, flags] {
    action = [flags] { return training::Guarded([&] { return WriteLogits(*flags); }); };
  });
}

}  // namespace rein::cli
