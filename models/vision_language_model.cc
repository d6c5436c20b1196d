#include "models/vision_language_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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

// Absolute, also of "model/".
std::filesystem::path PathOf(const std::filesystem::path& folder) {
  const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

std::string NameOf(const std::filesystem::path& folder) { return PathOf(folder).filename().string(); }

// The neighbour in which a folder is made.
std::filesystem::path Partial(const std::filesystem::path& folder) { return PathOf(folder) += ".partial"; }

absl::Status WriteFolder(const NamedTensors& tensors, const SideFiles& files,
                         const std::filesystem::path& folder, int64_t max_shard_bytes) {
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  for (const auto& [name, contents] : files) {
    REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / name, contents));
  }
  return WriteWeights(tensors, folder, max_shard_bytes);
}

absl::Status RenameFolder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (error) return SystemError(error.value(), "cannot rename a finished model folder to", to);
  return Fsync(from.parent_path());
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

std::string LoadProgressText(const std::filesystem::path& folder, int64_t done, int64_t total) {
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  return absl::StrFormat("%s %.0f %%, %.1f of %.1f GB", NameOf(folder), std::floor(100 * share),
                         static_cast<double>(done) / 1e9, static_cast<double>(total) / 1e9);
}

absl::Status SaveModel(const VisionLanguageModel& model, const std::filesystem::path& folder,
                       int64_t max_shard_bytes) {
  REIN_RETURN_IF_ERROR(CheckEmpty(folder));
  REIN_ASSIGN_OR_RETURN(const auto files, model.side_files());
  const std::filesystem::path partial = Partial(folder);
  std::error_code ignored;
  std::filesystem::remove_all(partial, ignored);
  absl::Status status = WriteFolder(model.tensors(), files, partial, max_shard_bytes);
  if (status.ok()) status = RenameFolder(partial, folder);
  if (!status.ok()) std::filesystem::remove_all(partial, ignored);
  return status;
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
  const auto count = static_cast<int64_t>(files.size());
  std::vector<absl::StatusOr<std::string>> digests(files.size(), absl::UnknownError("not read"));
  at::parallel_for(0, count, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) digests[i] = FileSha256(files[i]);
  });
  std::string lines;
  for (size_t i = 0; i < files.size(); ++i) {
    REIN_RETURN_IF_ERROR(digests[i].status());
    absl::StrAppend(&lines, files[i].filename().string(), " ", *digests[i], "\n");
  }
  return Sha256Hex(lines);
}

}  // namespace rein::models
