#include "coordinator/checkpoint_store.h"

#include <algorithm>
#include <functional>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr char kPartial[] = ".partial";
constexpr char kDamaged[] = ".damaged";

fs::path WithSuffix(const fs::path& folder, absl::string_view suffix) {
  return absl::StrCat(folder.string(), suffix);
}

absl::Status RemoveAll(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? SystemError(error.value(), "cannot remove", path) : absl::OkStatus();
}

absl::Status Rename(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return SystemError(error.value(), absl::StrCat("cannot rename ", from.string(), " to"), to);
  return Fsync(to.parent_path());
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

// The number of a folder step-N; false for anything else, partial and damaged ones included.
bool ParseStep(const fs::path& path, int64_t* step) {
  const std::string name = path.filename().string();
  absl::string_view digits = name;
  return absl::ConsumePrefix(&digits, "step-") && absl::SimpleAtoi(digits, step) &&
         name == absl::StrCat("step-", *step);
}

// Calls `visit` with every entry of the folder.
absl::Status ForEachEntry(const fs::path& folder, const std::function<void(const fs::path&)>& visit) {
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::end(it); it.increment(error)) {
    visit(it->path());
  }
  return error ? SystemError(error.value(), "cannot list", folder) : absl::OkStatus();
}

// Steps that have a checkpoint, newest first.
absl::StatusOr<std::vector<int64_t>> ListSteps(const fs::path& folder) {
  std::vector<int64_t> steps;
  int64_t step = 0;
  REIN_RETURN_IF_ERROR(ForEachEntry(folder, [&](const fs::path& path) {
    if (ParseStep(path, &step)) steps.push_back(step);
  }));
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

absl::StatusOr<Manifest> ReadManifestOf(const fs::path& folder, int64_t step) {
  REIN_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(folder));
  if (manifest.step == step) return manifest;
  return absl::DataLossError(absl::StrCat(folder.string(), " holds the manifest of step ", manifest.step,
                                          ", it was put there by hand"));
}

absl::StatusOr<Manifest> ReadWhole(const fs::path& folder, int64_t step) {
  REIN_ASSIGN_OR_RETURN(Manifest manifest, ReadManifestOf(folder, step));
  REIN_RETURN_IF_ERROR(CheckFiles(folder, manifest, /*contents=*/true));
  return manifest;
}

// Errors that mean damage, and not that the files cannot be read at the moment.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status) || absl::IsInvalidArgument(status) ||
         absl::IsResourceExhausted(status);
}

absl::Status SetAside(const fs::path& folder) {
  const fs::path aside = WithSuffix(folder, kDamaged);
  REIN_RETURN_IF_ERROR(RemoveAll(aside));
  return Rename(folder, aside);
}

bool IsBetter(const Manifest& a, const Manifest& b) {
  if (a.meets_constraints != b.meets_constraints) return a.meets_constraints;
  // Held-out prompts are the same for every step; training batches differ by luck.
  if (a.meets_constraints && a.evaluated != b.evaluated) return a.evaluated;
  if (a.meets_constraints && a.reward_mean != b.reward_mean) return a.reward_mean > b.reward_mean;
  return a.step > b.step;
}

// Manifests that parse, newest first.
absl::StatusOr<std::vector<Manifest>> ReadManifests(const fs::path& folder) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, ListSteps(folder));
  std::vector<Manifest> manifests;
  for (const int64_t step : steps) {
    absl::StatusOr<Manifest> manifest = ReadManifestOf(folder / absl::StrCat("step-", step), step);
    if (manifest.ok()) manifests.push_back(*std::move(manifest));
  }
  return manifests;
}

std::set<int64_t> StepsToKeep(const std::vector<Manifest>& newest_first, const Retention& rule) {
  std::set<int64_t> keep;
  int64_t rank = 0;
  for (const Manifest& manifest : newest_first) {
    if (rank++ < std::max<int64_t>(rule.keep_newest, 1)) keep.insert(manifest.step);
    if (rule.keep_every > 0 && manifest.step % rule.keep_every == 0) keep.insert(manifest.step);
  }
  const auto best = std::min_element(newest_first.begin(), newest_first.end(), IsBetter);
  if (best != newest_first.end()) keep.insert(best->step);
  return keep;
}

}  // namespace

absl::StatusOr<CheckpointStore> CheckpointStore::Open(const fs::path& folder) {
  const fs::path absolute = fs::absolute(folder).lexically_normal();
  REIN_RETURN_IF_ERROR(MakeFolder(absolute));
  return CheckpointStore(absolute);
}

fs::path CheckpointStore::FolderOf(int64_t step) const { return folder_ / absl::StrCat("step-", step); }

absl::StatusOr<fs::path> CheckpointStore::Begin(int64_t step) {
  const fs::path partial = WithSuffix(FolderOf(step), kPartial);
  REIN_RETURN_IF_ERROR(RemoveAll(partial));
  REIN_RETURN_IF_ERROR(MakeFolder(partial));
  return partial;
}

absl::Status CheckpointStore::Commit(const Manifest& manifest) {
  const absl::Status status = CommitPartial(manifest);
  if (!status.ok()) Abandon(manifest.step);
  return WithContext(status, absl::StrCat("checkpoint of step ", manifest.step));
}

absl::Status CheckpointStore::CommitPartial(const Manifest& manifest) {
  const fs::path folder = FolderOf(manifest.step);
  const fs::path partial = WithSuffix(folder, kPartial);
  REIN_RETURN_IF_ERROR(CheckFiles(partial, manifest, /*contents=*/false));
  REIN_RETURN_IF_ERROR(WriteManifest(partial, manifest));
  REIN_RETURN_IF_ERROR(Fsync(partial));
  if (Exists(folder)) {
    const absl::Status old = ReadWhole(folder, manifest.step).status();
    if (old.ok()) return RemoveAll(partial);
    if (!IsDamage(old)) return old;
    REIN_RETURN_IF_ERROR(SetAside(folder));
  }
  return Rename(partial, folder);
}

void CheckpointStore::Abandon(int64_t step) {
  const absl::Status status = RemoveAll(WithSuffix(FolderOf(step), kPartial));
  // The next Begin or Retain tries again.
  if (!status.ok()) LogWarning(status.message());
}

absl::StatusOr<std::optional<Manifest>> CheckpointStore::Newest(std::vector<std::string>* refused) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, ListSteps(folder_));
  for (const int64_t step : steps) {
    absl::StatusOr<Manifest> manifest = ReadWhole(FolderOf(step), step);
    if (manifest.ok()) return *std::move(manifest);
    if (!IsDamage(manifest.status())) {
      return WithContext(manifest.status(), absl::StrCat("checkpoint of step ", step));
    }
    refused->push_back(absl::StrCat("step ", step, ": ", manifest.status().message()));
    REIN_RETURN_IF_ERROR(SetAside(FolderOf(step)));
  }
  return std::nullopt;
}

absl::Status CheckpointStore::Retain(const Retention& rule) {
  REIN_ASSIGN_OR_RETURN(const std::vector<Manifest> manifests, ReadManifests(folder_));
  const std::set<int64_t> keep = StepsToKeep(manifests, rule);
  for (const Manifest& manifest : manifests) {
    if (keep.contains(manifest.step)) continue;
    // Renamed first, so that a crash in the middle leaves no half checkpoint under a whole one's name.
    const fs::path doomed = WithSuffix(FolderOf(manifest.step), kPartial);
    REIN_RETURN_IF_ERROR(RemoveAll(doomed));
    REIN_RETURN_IF_ERROR(Rename(FolderOf(manifest.step), doomed));
  }
  std::vector<fs::path> leftovers;
  REIN_RETURN_IF_ERROR(ForEachEntry(folder_, [&](const fs::path& path) {
    if (path.extension() == kPartial) leftovers.push_back(path);
  }));
  for (const fs::path& path : leftovers) REIN_RETURN_IF_ERROR(RemoveAll(path));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Manifest>> CheckpointStore::Best() const {
  REIN_ASSIGN_OR_RETURN(const std::vector<Manifest> manifests, ReadManifests(folder_));
  const auto best = std::min_element(manifests.begin(), manifests.end(), IsBetter);
  if (best == manifests.end()) return std::nullopt;
  return *best;
}

}  // namespace rein::coordinator
