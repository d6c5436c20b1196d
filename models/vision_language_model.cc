#include "models/vision_language_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "models/folder.h"

namespace rein::models {
namespace {

absl::Status CheckEmpty(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error) || std::filesystem::is_empty(folder, error))
    return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      folder.string(), " is there and not empty; a model is saved only to a new or empty folder"));
}

absl::StatusOr<std::string> FileDigest(const std::filesystem::path& path) {
  REIN_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, uint64_t{1} << 40));
  return Sha256Hex(bytes);
}

}  // namespace

KvCache VisionLanguageModel::MakeCache(int64_t blocks, int64_t block_tokens) const {
  const at::Tensor& any = tensors().front().second;
  // The CPU's attention over a cache computes in float32, whatever the weights are.
  const at::ScalarType dtype = any.is_cpu() ? at::kFloat : any.scalar_type();
  return KvCache({.layers = shape().layers,
                  .blocks = blocks,
                  .block_tokens = block_tokens,
                  .kv_heads = shape().kv_heads,
                  .head_dim = shape().head_dim},
                 dtype, any.device());
}

absl::StatusOr<std::map<std::string, std::string>> VisionLanguageModel::side_files() const {
  return ReadSideFiles(source());
}

absl::Status SaveModel(const VisionLanguageModel& model, const std::filesystem::path& folder,
                       int64_t max_shard_bytes) {
  REIN_RETURN_IF_ERROR(CheckEmpty(folder));
  REIN_ASSIGN_OR_RETURN(const auto files, model.side_files());
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  for (const auto& [name, contents] : files) {
    REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / name, contents));
  }
  REIN_RETURN_IF_ERROR(WriteWeights(model.tensors(), folder, max_shard_bytes));
  return folder.has_parent_path() ? Fsync(folder.parent_path()) : absl::OkStatus();
}

absl::StatusOr<NamedTensors> TrainableParameters(const VisionLanguageModel& model,
                                                 const std::vector<std::string>& freeze) {
  std::set<std::string> parts;
  for (const auto& named : model.tensors()) parts.insert(model.PartOf(named.first));
  for (const std::string& part : freeze) {
    if (parts.contains(part)) continue;
    return absl::InvalidArgumentError(absl::StrCat("freeze: \"", part, "\" is no part of this ",
                                                   model.shape().family,
                                                   " model; its parts: ", absl::StrJoin(parts, ", ")));
  }
  NamedTensors trainable;
  for (const auto& [name, tensor] : model.tensors()) {
    const bool frozen = std::find(freeze.begin(), freeze.end(), model.PartOf(name)) != freeze.end();
    tensor.requires_grad_(!frozen);
    if (!frozen) trainable.emplace_back(name, tensor);
  }
  return trainable;
}

absl::StatusOr<std::string> ModelDigest(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(std::vector<std::filesystem::path> files, WeightFiles(folder));
  files.insert(files.begin(), folder / "config.json");
  std::string lines;
  for (const std::filesystem::path& file : files) {
    REIN_ASSIGN_OR_RETURN(const std::string digest, FileDigest(file));
    absl::StrAppend(&lines, file.filename().string(), " ", digest, "\n");
  }
  return Sha256Hex(lines);
}

}  // namespace rein::models
