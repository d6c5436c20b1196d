#include "guard/head/guard_head.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "guard/head/guard_config.h"
#include "models/finite.h"
#include "models/parameters.h"
#include "models/safetensors.h"

namespace rein::guard {
namespace {

constexpr char kWeight[] = "weight", kBias[] = "bias";

absl::StatusOr<at::Tensor> TakeTensor(const std::map<std::string, at::Tensor>& tensors,
                                      const std::string& name, const std::vector<int64_t>& shape) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return absl::InvalidArgumentError(absl::StrCat("has no tensor ", name));
  const at::Tensor& tensor = found->second;
  if (tensor.scalar_type() != at::kFloat || tensor.sizes() != at::IntArrayRef(shape)) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, " is ", c10::toString(tensor.scalar_type()), " of shape [", absl::StrJoin(tensor.sizes(), ", "),
        "]; Float of shape [", absl::StrJoin(shape, ", "), "] is needed by the model of this folder"));
  }
  if (const int64_t count = models::CountNotFinite(tensor); count > 0)
    return absl::InvalidArgumentError(absl::StrCat(name, " has ", count, " values that are not finite"));
  return tensor;
}

absl::StatusOr<GuardHead> TakeHead(const models::NamedTensors& named, int64_t hidden) {
  const std::map<std::string, at::Tensor> tensors(named.begin(), named.end());
  if (tensors.size() != 2)
    return absl::InvalidArgumentError(
        absl::StrCat("has ", tensors.size(), " tensors; weight and bias are needed"));
  GuardHead head;
  REIN_ASSIGN_OR_RETURN(head.weight, TakeTensor(tensors, kWeight, {kHeadLogits, hidden}));
  REIN_ASSIGN_OR_RETURN(head.bias, TakeTensor(tensors, kBias, {kHeadLogits}));
  return head;
}

}  // namespace

GuardHead DrawGuardHead(int64_t hidden, uint64_t seed) {
  models::Parameters parameters(at::kFloat, at::kCPU);
  const std::string name = absl::StrCat("guard_head.", kWeight);
  GuardHead head{parameters.Add(name, {kHeadLogits, hidden}, models::Parameters::Fill::kNormal),
                 at::zeros({kHeadLogits}, at::kFloat)};
  parameters.Draw(name, seed);
  head.bias.narrow(0, kOrdinalLogits, kCategoryLogits).fill_(-std::log(kCategoryLogits - 1));
  return head;
}

at::Tensor HeadLogits(const GuardHead& head, const at::Tensor& hidden) {
  return at::linear(hidden.to(at::kFloat), head.weight, head.bias);
}

bool HasGuardHead(const std::filesystem::path& folder) {
  std::error_code error;
  return std::filesystem::exists(folder / kHeadFile, error);
}

absl::Status WriteGuardHead(const GuardHead& head, const std::filesystem::path& folder) {
  return models::WriteSafetensors(folder / kHeadFile,
                                  {{kWeight, head.weight.detach()}, {kBias, head.bias.detach()}});
}

absl::StatusOr<GuardHead> ReadGuardHead(const std::filesystem::path& folder, int64_t hidden) {
  if (!HasGuardHead(folder)) {
    return absl::NotFoundError(absl::StrCat(folder.string(), " has no ", kHeadFile,
                                            ": it is no guard; train one with rein train guard"));
  }
  REIN_ASSIGN_OR_RETURN(const models::NamedTensors tensors, models::ReadSafetensors(folder / kHeadFile));
  absl::StatusOr<GuardHead> head = TakeHead(tensors, hidden);
  if (!head.ok()) return WithContext(head.status(), (folder / kHeadFile).string());
  return head;
}

absl::StatusOr<std::string> GuardDigest(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(std::string digests, models::ModelDigest(folder));
  for (const char* file : {kHeadFile, kConfigFile}) {
    REIN_ASSIGN_OR_RETURN(const std::string digest, FileSha256(folder / file));
    absl::StrAppend(&digests, "\n", file, " ", digest);
  }
  return Sha256Hex(digests);
}

}  // namespace rein::guard
