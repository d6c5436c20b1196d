#include "models/folder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status.h"
#include "models/json.h"

namespace rein::models {
namespace {

constexpr uint64_t kMaxSideFileBytes = uint64_t{64} << 20;
constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr const char* kSideFiles[] = {"config.json",
                                      "generation_config.json",
                                      "tokenizer.json",
                                      "tokenizer_config.json",
                                      "special_tokens_map.json",
                                      "added_tokens.json",
                                      "vocab.json",
                                      "merges.txt",
                                      "tokenizer.model",
                                      "preprocessor_config.json",
                                      "processor_config.json",
                                      "chat_template.jinja",
                                      "chat_template.json"};

bool Exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

absl::Status NoWeights(const std::filesystem::path& folder) {
  if (Exists(folder / "pytorch_model.bin") || Exists(folder / "pytorch_model.bin.index.json")) {
    return absl::UnimplementedError(absl::StrCat(
        folder.string(),
        " holds only pickled weights, which can run code when they are read; convert them to safetensors "
        "once with: ",
        "python -c \"from transformers import AutoModelForImageTextToText as M; M.from_pretrained('",
        folder.string(), "').save_pretrained('", folder.string(), "', safe_serialization=True)\""));
  }
  return absl::NotFoundError(absl::StrCat(folder.string(), " has neither ", kSingleFile, " nor ", kIndexFile,
                                          "; a model folder is needed"));
}

// File of each tensor.
absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kIndexFile;
  REIN_ASSIGN_OR_RETURN(const Json index, ReadJsonObject(path, kMaxSideFileBytes));
  const Fields root(index, path.string());
  REIN_ASSIGN_OR_RETURN(const Fields weights, root.Object("weight_map"));
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : weights.json().items()) {
    if (!file.is_string()) return weights.Error(name, "is not a file name");
    const std::string text = file.get<std::string>();
    if (text.find('/') != std::string::npos || !absl::EndsWith(text, ".safetensors")) {
      return weights.Error(
          name, absl::StrCat("is \"", text, "\"; a .safetensors file in the same folder is needed"));
    }
    files[name] = text;
  }
  if (files.empty()) return root.Error("weight_map", "lists no tensor");
  return files;
}

absl::Status CheckAgainstIndex(const std::map<std::string, std::string>& index, const SafetensorsFile& file) {
  const std::filesystem::path& path = file.path();
  std::set<std::string> present;
  for (const SafetensorsEntry& entry : file.entries()) {
    present.insert(entry.name);
    const auto listed = index.find(entry.name);
    if (listed == index.end() || listed->second != path.filename()) {
      return absl::InvalidArgumentError(absl::StrCat(path.string(), ": tensor ", entry.name,
                                                     " is not listed for this file in ", kIndexFile));
    }
  }
  for (const auto& [name, listed] : index) {
    if (listed == path.filename() && !present.contains(name)) {
      return absl::InvalidArgumentError(absl::StrCat(path.string(), ": tensor ", name, " is missing, ",
                                                     kIndexFile, " lists it for this file"));
    }
  }
  return absl::OkStatus();
}

// Consecutive tensors, each group within the limit unless it is one tensor.
std::vector<NamedTensors> SplitIntoShards(const NamedTensors& tensors, int64_t max_shard_bytes) {
  std::vector<NamedTensors> shards(1);
  int64_t bytes = 0;
  for (const auto& named : tensors) {
    const auto size = static_cast<int64_t>(named.second.nbytes());
    if (!shards.back().empty() && bytes + size > max_shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(named);
    bytes += size;
  }
  return shards;
}

}  // namespace

absl::StatusOr<SideFiles> ReadSideFiles(const std::filesystem::path& folder) {
  if (!Exists(folder))
    return absl::NotFoundError(absl::StrCat("model folder ", folder.string(), " does not exist"));
  SideFiles files;
  for (const char* name : kSideFiles) {
    if (!Exists(folder / name)) continue;
    REIN_ASSIGN_OR_RETURN(files[name], ReadFile(folder / name, kMaxSideFileBytes));
  }
  if (!files.contains("config.json")) {
    return absl::NotFoundError(
        absl::StrCat(folder.string(), " has no config.json; a model folder is needed"));
  }
  return files;
}

absl::StatusOr<std::vector<std::filesystem::path>> WeightFiles(const std::filesystem::path& folder) {
  if (Exists(folder / kSingleFile)) return std::vector<std::filesystem::path>{folder / kSingleFile};
  if (!Exists(folder / kIndexFile)) return NoWeights(folder);
  REIN_ASSIGN_OR_RETURN(const auto index, ReadIndex(folder));
  std::set<std::string> names;
  for (const auto& entry : index) names.insert(entry.second);
  std::vector<std::filesystem::path> files;
  for (const std::string& name : names) files.push_back(folder / name);
  return files;
}

absl::StatusOr<std::vector<SafetensorsFile>> OpenWeights(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const std::vector<std::filesystem::path> paths, WeightFiles(folder));
  std::map<std::string, std::string> index;
  const bool sharded = !Exists(folder / kSingleFile);
  if (sharded) {
    REIN_ASSIGN_OR_RETURN(index, ReadIndex(folder));
  }
  std::vector<SafetensorsFile> files;
  for (const std::filesystem::path& path : paths) {
    REIN_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
    if (sharded) REIN_RETURN_IF_ERROR(CheckAgainstIndex(index, file));
    files.push_back(std::move(file));
  }
  return files;
}

absl::Status WriteWeights(const NamedTensors& tensors, const std::filesystem::path& folder,
                          int64_t max_shard_bytes) {
  const std::vector<NamedTensors> shards = SplitIntoShards(tensors, max_shard_bytes);
  const SafetensorsMetadata metadata = {{"format", "pt"}};  // transformers refuses files without it
  if (shards.size() == 1) return WriteSafetensors(folder / kSingleFile, shards[0], metadata);
  Json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", Json::object()}};
  uint64_t total_bytes = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file = absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, shards.size());
    REIN_RETURN_IF_ERROR(WriteSafetensors(folder / file, shards[i], metadata));
    for (const auto& [name, tensor] : shards[i]) {
      index["weight_map"][name] = file;
      total_bytes += tensor.nbytes();
    }
  }
  index["metadata"]["total_size"] = total_bytes;
  return WriteFileAtomically(folder / kIndexFile, index.dump(2) + "\n");
}

}  // namespace rein::models
