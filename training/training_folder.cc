#include "training/training_folder.h"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/append_file.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"

namespace rein::training {
namespace {

namespace fs = std::filesystem;

constexpr char kMetrics[] = "metrics.jsonl";
constexpr char kTensorBoard[] = "tensorboard";
constexpr char kStatePrefix[] = "step-";
constexpr char kBestPrefix[] = "best-";
constexpr size_t kPendingSteps = 10;
constexpr uint64_t kMaxMetricsBytes = uint64_t{1} << 32;

fs::path Beside(const fs::path& output, const char* suffix) {
  fs::path folder = output.has_filename() ? output : output.parent_path();
  return folder += suffix;
}

// The N of PREFIXN; -1 for other names.
int64_t NumberOf(const fs::path& path, const char* prefix) {
  const std::string name = path.filename().string();
  absl::string_view digits = name;
  int64_t number = -1;
  return absl::ConsumePrefix(&digits, prefix) && absl::SimpleAtoi(digits, &number) ? number : -1;
}

std::vector<fs::path> Entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::end(it); it.increment(error)) {
    entries.push_back(it->path());
  }
  return entries;
}

int64_t StepOf(absl::string_view line) {
  const auto value = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  return value.is_object() ? value.value("step", int64_t{-1}) : -1;
}

// Lines up to `step` stay; a line that a crash cut off goes with the later ones.
absl::Status CutBack(const fs::path& file, int64_t step) {
  std::error_code error;
  if (!fs::exists(file, error)) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxMetricsBytes));
  std::string kept;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const int64_t at = StepOf(line);
    if (at >= 1 && at <= step) absl::StrAppend(&kept, line, "\n");
  }
  return WriteFileAtomically(file, kept);
}

}  // namespace

TrainingFolder::TrainingFolder(const fs::path& output) : folder_(Beside(output, ".training")) {}

TrainingFolder::~TrainingFolder() {
  if (absl::Status flushed = Flush(); !flushed.ok()) LogWarning(std::string(flushed.message()));
}

fs::path TrainingFolder::State(int64_t step) const { return folder_ / absl::StrCat(kStatePrefix, step); }
fs::path TrainingFolder::Best(int64_t step) const { return folder_ / absl::StrCat(kBestPrefix, step); }

int64_t TrainingFolder::NewestState() const {
  int64_t newest = 0;
  for (const fs::path& entry : Entries(folder_)) newest = std::max(newest, NumberOf(entry, kStatePrefix));
  return newest;
}

absl::Status TrainingFolder::OpenLogs(int64_t step) {
  REIN_RETURN_IF_ERROR(MakeFolder(folder_));
  REIN_RETURN_IF_ERROR(CutBack(folder_ / kMetrics, step));
  std::error_code error;
  if (step == 0) fs::remove_all(folder_ / kTensorBoard, error);
  REIN_ASSIGN_OR_RETURN(tensorboard_, TensorBoardWriter::Open(folder_ / kTensorBoard, step + 1));
  return absl::OkStatus();
}

absl::Status TrainingFolder::Log(int64_t step, const Metrics& metrics) {
  pending_.push_back({step, {metrics.begin(), metrics.end()}});
  return pending_.size() < kPendingSteps ? absl::OkStatus() : Flush();
}

absl::Status TrainingFolder::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  const std::vector<TensorBoardWriter::Event> events = std::exchange(pending_, {});
  std::string lines;
  for (const TensorBoardWriter::Event& event : events) {
    nlohmann::ordered_json line = {{"step", event.step}};
    for (const auto& [name, value] : event.scalars) line[name] = value;
    absl::StrAppend(&lines, line.dump(), "\n");
  }
  REIN_RETURN_IF_ERROR(AppendToFile(folder_ / kMetrics, lines));
  return tensorboard_->Write(events);
}

absl::Status TrainingFolder::Commit(const fs::path& folder, const WriteFn& write) {
  const fs::path partial = Beside(folder, ".partial");
  std::error_code error;
  fs::remove_all(partial, error);
  if (absl::Status written = write(partial); !written.ok()) {
    fs::remove_all(partial, error);
    return written;
  }
  return Move(partial, folder);
}

absl::Status TrainingFolder::Move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return SystemError(error.value(), "cannot rename a finished folder to", to);
  return Fsync(fs::absolute(to).parent_path());
}

void TrainingFolder::KeepOnly(int64_t step, int64_t best) {
  for (const fs::path& entry : Entries(folder_)) {
    const int64_t state = NumberOf(entry, kStatePrefix), model = NumberOf(entry, kBestPrefix);
    std::error_code error;
    if ((state >= 0 && state != step) || (model >= 0 && model != best)) fs::remove_all(entry, error);
  }
}

std::vector<std::string> Differences(const nlohmann::json& a, const nlohmann::json& b) {
  std::set<std::string> names;
  for (const auto& [from, to] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    for (const auto& [name, value] : from->items()) {
      if (!to->contains(name) || (*to)[name] != value) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace rein::training
