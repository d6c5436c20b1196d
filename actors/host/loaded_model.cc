#include "actors/host/loaded_model.h"

#include <ATen/Context.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/log_line.h"
#include "base/status.h"

namespace rein::host {
namespace {

absl::StatusOr<at::Device> ParseDevice(const std::string& name) {
  if (name.empty() || name == "cpu") return at::Device(at::kCPU);
  absl::string_view number = name;
  int index = -1;
  if (!absl::ConsumePrefix(&number, "cuda:") || !absl::SimpleAtoi(number, &index) || index < 0) {
    return absl::InvalidArgumentError(absl::StrCat("device '", name, "': use cpu or cuda:N"));
  }
  if (!at::hasCUDA()) {
    return absl::InvalidArgumentError(
        absl::StrCat("device '", name, "': this process sees no GPU; use cpu, or a build with CUDA"));
  }
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

void Show(const Configuration& configuration, const std::string& activity) {
  if (configuration.show) configuration.show(activity);
}

absl::StatusOr<LoadedModel> Load(const Configuration& configuration, const models::LoadOptions& options) {
  LoadedModel loaded;
  REIN_ASSIGN_OR_RETURN(loaded.processor, models::Processor::Load(configuration.model));
  REIN_ASSIGN_OR_RETURN(loaded.model, models::LoadModel(configuration.model, options));
  REIN_RETURN_IF_ERROR(models::CheckVocabulary(*loaded.processor, *loaded.model));
  Show(configuration, "Computing the model's digest");
  REIN_ASSIGN_OR_RETURN(const std::string digest, models::ModelDigest(configuration.model));
  loaded.info = InfoOf(*loaded.model, *loaded.processor, configuration.model, digest);
  return loaded;
}

}  // namespace

Releasable Held(const models::VisionLanguageModel& model) {
  Releasable held{.constant = true};
  for (const auto& [name, tensor] : model.tensors()) held.kept.push_back(tensor);
  return held;
}

v1::ModelInfo InfoOf(const models::VisionLanguageModel& model, const models::Processor& processor,
                     const std::filesystem::path& folder, const std::string& digest) {
  v1::ModelInfo info;
  info.set_path(folder.string());
  info.set_digest(digest);
  info.set_family(model.shape().family);
  int64_t parameters = 0;
  for (const auto& [name, tensor] : model.tensors()) parameters += tensor.numel();
  info.set_parameters(parameters);
  info.set_tokenizer_digest(processor.tokenizer_digest());
  info.set_dtype("float32");
  return info;
}

absl::StatusOr<models::LoadOptions> LoadOptionsOf(const Configuration& configuration) {
  if (configuration.model.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("no model folder for ", configuration.spec.role(), "/",
                                                   configuration.spec.name(),
                                                   "; set `model` of this actor in the job file"));
  }
  const std::string& role = configuration.spec.role();
  if (configuration.spec.lora().rank() > 0 && role != "policy" && role != "critic") {
    return absl::InvalidArgumentError(
        absl::StrCat("lora of ", role, "/", configuration.spec.name(),
                     ": only policy and critics train; remove it, and give the merged model folder"));
  }
  models::LoadOptions options{.dtype = at::kFloat};
  absl::StatusOr<at::Device> device = ParseDevice(configuration.spec.device());
  if (!device.ok())
    return WithContext(device.status(), absl::StrCat("model folder ", configuration.model.string()));
  options.device = *device;
  options.progress = [&configuration](int64_t done, int64_t total) {
    Show(configuration, absl::StrCat("Loading ", models::LoadProgressText(configuration.model, done, total)));
  };
  return options;
}

absl::StatusOr<LoadedModel> LoadRoleModel(const Configuration& configuration) {
  REIN_ASSIGN_OR_RETURN(const models::LoadOptions options, LoadOptionsOf(configuration));
  absl::StatusOr<LoadedModel> loaded = Load(configuration, options);
  if (!loaded.ok()) {
    return WithContext(loaded.status(), absl::StrCat("model folder ", configuration.model.string()));
  }
  LogInfo(absl::StrCat("loaded ", configuration.model.string(), " (", loaded->info.family(), ", ",
                       loaded->info.parameters(), " parameters, digest ", loaded->info.digest().substr(0, 12),
                       ")"));
  return loaded;
}

}  // namespace rein::host
