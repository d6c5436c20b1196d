#include "actors/host/trainable.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/saved_files.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace rein::host {
namespace {

namespace fs = std::filesystem;

constexpr char kModelFolder[] = "model";
constexpr char kAdapterFolder[] = "adapter";
constexpr char kOptimizerFile[] = "optimizer.safetensors";
constexpr char kStateFile[] = "state.json";

// Removes what an earlier, failed Save left and makes the folder anew.
absl::Status MakeEmptyFolder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return SystemError(error.value(), "cannot remove", folder);
  return MakeFolder(folder);
}

std::string StateJson(const v1::WeightVersion& version, const models::VisionLanguageModel& model,
                      const training::AdamW& optimizer) {
  const nlohmann::json state = {{"format", 1},
                                {"coordinator_epoch", version.coordinator_epoch()},
                                {"version", version.number()},
                                {"optimizer_steps", optimizer.steps()},
                                {"family", model.shape().family}};
  return absl::StrCat(state.dump(2), "\n");
}

// Errors: INVALID_ARGUMENT (not a state of this program, or of another version than wanted).
absl::Status CheckState(const fs::path& file, int64_t wanted_version) {
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 1 << 20));
  const nlohmann::json state = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!state.is_object() || state.value("format", 0) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(file.string(), " is not a state that this version reads"));
  }
  if (state.value("version", int64_t{-1}) != wanted_version) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.string(), " holds version ", state.value("version", -1), ", wanted is ", wanted_version));
  }
  return absl::OkStatus();
}

using Copies = std::vector<std::pair<at::Tensor, at::Tensor>>;

// Pairs of (live tensor, tensor to copy into it).
absl::StatusOr<Copies> Match(const models::NamedTensors& live, const models::NamedTensors& saved) {
  const std::map<std::string, at::Tensor> by_name(saved.begin(), saved.end());
  Copies copies;
  for (const auto& [name, tensor] : live) {
    const auto found = by_name.find(name);
    if (found == by_name.end() || !found->second.sizes().equals(tensor.sizes())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor '", name, "' is missing or of another shape: ", "this is the state of another model"));
    }
    copies.emplace_back(tensor, found->second);
  }
  return copies;
}

}  // namespace

v1::WeightVersion Trainable::version() const {
  absl::MutexLock lock(&mutex_);
  return version_;
}

void Trainable::SetVersion(const v1::WeightVersion& version) {
  absl::MutexLock lock(&mutex_);
  version_ = version;
}

absl::StatusOr<training::Metrics> Trainable::Step(
    const v1::TrainHeader& header, const std::function<absl::StatusOr<training::Metrics>()>& step) {
  if (header.version().number() != version().number() + 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the step leads to version ", header.version().number(), ", but the weights are at version ",
        version().number(), "; load the state of version ", header.version().number() - 1, " first"));
  }
  REIN_ASSIGN_OR_RETURN(training::Metrics metrics, step());
  SetVersion(header.version());
  WeightsChanged();
  host_->counters().Add("steps", 1);
  return metrics;
}

fs::path Trainable::Subfolder() const {
  return absl::StrCat(host_->address().role(), "-", host_->address().name());
}

absl::StatusOr<v1::SaveStateResponse> Trainable::Save(const fs::path& folder) {
  if (!folder.is_absolute() || !fs::is_directory(folder)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", folder.string(), "' is not an existing folder with an absolute path"));
  }
  const fs::path own = folder / Subfolder();
  REIN_RETURN_IF_ERROR(MakeEmptyFolder(own));
  REIN_RETURN_IF_ERROR(models::SaveModel(model(), own / kModelFolder));
  if (lora() != nullptr) REIN_RETURN_IF_ERROR(lora()->Save(own / kAdapterFolder, model().source()));
  REIN_RETURN_IF_ERROR(optimizer().Save(own / kOptimizerFile));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(own / kStateFile, StateJson(version(), model(), optimizer())));
  REIN_ASSIGN_OR_RETURN(const std::vector<v1::SavedFile> files, SealFiles(folder, Subfolder()));
  v1::SaveStateResponse response;
  response.mutable_files()->Assign(files.begin(), files.end());
  *response.mutable_version() = version();
  return response;
}

Releasable Trainable::Held() {
  Releasable held{.kept = optimizer().moments()};
  const auto add = [&held](const models::NamedTensors& tensors) {
    for (const auto& [name, tensor] : tensors) held.kept.push_back(tensor);
  };
  add(model().tensors());
  add(optimizer().parameters());
  if (lora() != nullptr) {
    for (const at::Tensor& weight : lora()->base_weights()) held.kept.push_back(weight);
  }
  return held;
}

absl::Status Trainable::Load(const v1::LoadStateRequest& request) {
  REIN_RETURN_IF_ERROR(request.folder().empty() ? Restart() : LoadFolder(request));
  SetVersion(request.version());
  steps_.Clear();
  WeightsChanged();
  LogInfo(absl::StrCat("state restored from ",
                       request.folder().empty() ? "the start model" : request.folder(), ", now version ",
                       request.version().coordinator_epoch(), ".", request.version().number()));
  return absl::OkStatus();
}

absl::Status Trainable::LoadFolder(const v1::LoadStateRequest& request) {
  const fs::path own = fs::path(request.folder()) / Subfolder();
  REIN_RETURN_IF_ERROR(CheckFiles(request.folder(), request.files()));
  REIN_RETURN_IF_ERROR(CheckState(own / kStateFile, request.version().number()));
  return lora() != nullptr ? LoadAdapters(own) : LoadWeights(own);
}

absl::Status Trainable::LoadWeights(const fs::path& own) {
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<models::VisionLanguageModel> saved,
                        models::LoadModel(own / kModelFolder));
  REIN_ASSIGN_OR_RETURN(const Copies copies, Match(model().tensors(), saved->tensors()));
  REIN_RETURN_IF_ERROR(optimizer().Load(own / kOptimizerFile));
  const at::NoGradGuard no_grad;
  for (const auto& [live, tensor] : copies) live.copy_(tensor);
  return absl::OkStatus();
}

// The weights below the adapters never change: those of the start model serve.
absl::Status Trainable::LoadAdapters(const fs::path& own) {
  REIN_ASSIGN_OR_RETURN(const models::NamedTensors values, lora()->Read(own / kAdapterFolder));
  REIN_RETURN_IF_ERROR(optimizer().Load(own / kOptimizerFile));
  lora()->Set(values);
  return absl::OkStatus();
}

grpc::Status StateService::Save(grpc::ServerContext*, const v1::SaveStateRequest* request,
                                v1::SaveStateResponse* response) {
  return Answer([&]() -> absl::Status {
    REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
    const auto save = [&] {
      return host_->Compute<v1::SaveStateResponse>("Save state",
                                                   [&] { return trainable_->Save(request->folder()); });
    };
    REIN_ASSIGN_OR_RETURN(*response, saves_.Once(request->fence().request_id(), save));
    return absl::OkStatus();
  });
}

grpc::Status StateService::Load(grpc::ServerContext*, const v1::LoadStateRequest* request,
                                v1::LoadStateResponse*) {
  return Answer([&]() -> absl::Status {
    REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
    return host_->Run("Load state", [&] { return trainable_->Load(*request); });
  });
}

}  // namespace rein::host
