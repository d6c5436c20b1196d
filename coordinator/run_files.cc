#include "coordinator/run_files.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/append_file.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "data/image.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kMetrics[] = "metrics.jsonl";
constexpr char kSamples[] = "samples.jsonl";
constexpr char kEvaluations[] = "evaluations";
constexpr char kPictures[] = "pictures";
constexpr size_t kDigestDigits = 64;
constexpr size_t kPieceBytes = 4 << 20;

// For people: a byte that is not UTF-8 is shown as a replacement character and never an error.
std::string Dump(const json& value, int indent = -1) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

// nullopt: no JSON object with an integer step.
std::optional<int64_t> StepOf(const json& line) {
  if (!line.is_object()) return std::nullopt;
  const auto step = line.find("step");
  if (step == line.end() || !step->is_number_integer()) return std::nullopt;
  return step->get<int64_t>();
}

std::optional<int64_t> StepOfText(const std::string& line) {
  return StepOf(json::parse(line, nullptr, /*allow_exceptions=*/false));
}

// What a pass over a file of lines found.
struct Scan {
  int64_t later = 0;    // lines of steps that were not committed
  int64_t garbled = 0;  // lines that are no JSON object with a step
  bool whole_last_line = true;
};

// Calls `keep` with the lines that stay, in order.
template <typename Keep>
absl::StatusOr<Scan> ScanLines(const fs::path& path, int64_t committed_step, Keep keep) {
  std::ifstream file(path, std::ios::binary);
  Scan scan;
  for (std::string line; std::getline(file, line);) {
    scan.whole_last_line = !file.eof();
    const std::optional<int64_t> step = StepOfText(line);
    if (!step.has_value()) {
      ++scan.garbled;
    } else if (*step > committed_step) {
      ++scan.later;
    } else {
      REIN_RETURN_IF_ERROR(keep(line));
    }
  }
  if (file.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", path.string()));
  return scan;
}

// Copies the lines that stay to `to`, a piece at a time.
absl::Status CopyKeptLines(const fs::path& from, const fs::path& to, int64_t committed_step) {
  std::string piece;
  const auto keep = [&](const std::string& line) -> absl::Status {
    absl::StrAppend(&piece, line, "\n");
    if (piece.size() < kPieceBytes) return absl::OkStatus();
    return AppendToFile(to, std::exchange(piece, std::string()));
  };
  REIN_RETURN_IF_ERROR(ScanLines(from, committed_step, keep).status());
  return AppendToFile(to, piece);
}

absl::Status ReplaceFile(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return SystemError(error.value(), "cannot rename a temporary file to", to);
  return absl::OkStatus();
}

absl::Status CutBack(const fs::path& path, int64_t committed_step) {
  std::error_code error;
  if (!fs::exists(path, error)) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const Scan scan,
                        ScanLines(path, committed_step, [](const std::string&) { return absl::OkStatus(); }));
  if (scan.later == 0 && scan.garbled == 0 && scan.whole_last_line) return absl::OkStatus();
  if (scan.garbled > 0) {
    LogWarning(absl::StrCat(path.string(), ": removing ", scan.garbled, " cut-off or unreadable lines"));
  }
  const fs::path temporary = absl::StrCat(path.string(), ".tmp");
  fs::remove(temporary, error);
  REIN_RETURN_IF_ERROR(CopyKeptLines(path, temporary, committed_step));
  REIN_RETURN_IF_ERROR(ReplaceFile(temporary, path));
  return Fsync(path.parent_path());
}

// The N of step-N.json; nullopt for other files.
std::optional<int64_t> EvaluationStep(const fs::path& path) {
  const std::string name = path.filename().string();
  absl::string_view digits = name;
  int64_t step = 0;
  if (!absl::ConsumePrefix(&digits, "step-") || !absl::ConsumeSuffix(&digits, ".json")) return std::nullopt;
  return absl::SimpleAtoi(digits, &step) ? std::optional(step) : std::nullopt;
}

// The evaluation of the start policy (step 0) belongs to every run.
absl::Status RemoveLaterEvaluations(const fs::path& folder, int64_t committed_step) {
  std::vector<fs::path> later;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::end(it); it.increment(error)) {
    if (EvaluationStep(it->path()).value_or(0) > std::max<int64_t>(committed_step, 0)) {
      later.push_back(it->path());
    }
  }
  for (size_t i = 0; !error && i < later.size(); ++i) fs::remove(later[i], error);
  return error ? SystemError(error.value(), "cannot remove later evaluations of", folder) : absl::OkStatus();
}

// The numbers of nested objects, names joined with slashes. Lists and truth values are no curves.
void Flatten(const json& value, const std::string& name, std::vector<std::pair<std::string, double>>* out) {
  if (value.is_number()) out->emplace_back(name, value.get<double>());
  if (!value.is_object()) return;
  for (const auto& [key, child] : value.items()) {
    if (!name.empty()) {
      Flatten(child, absl::StrCat(name, "/", key), out);
    } else if (key != "step") {
      Flatten(child, key, out);
    }
  }
}

absl::StatusOr<std::string> PictureName(const std::string& digest, absl::string_view encoded) {
  if (digest.size() != kDigestDigits || !std::all_of(digest.begin(), digest.end(), absl::ascii_isxdigit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", digest, "' is not a digest; allowed: ", kDigestDigits, " hex digits"));
  }
  REIN_ASSIGN_OR_RETURN(const std::string type, data::ImageMediaType(encoded));
  if (type == "image/jpeg") return digest + ".jpg";
  return absl::StrCat(digest, ".", absl::StripPrefix(type, "image/"));
}

// Whole or not there when the process ends; without the fsyncs that a step with many pictures would wait for.
absl::Status WritePicture(const fs::path& path, absl::string_view encoded) {
  const fs::path temporary = absl::StrCat(path.string(), ".tmp");
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  errno = 0;
  file.write(encoded.data(), static_cast<std::streamsize>(encoded.size()));
  file.close();
  if (file.fail()) {
    const absl::Status status = SystemError(errno, "cannot write", temporary);
    std::error_code error;
    fs::remove(temporary, error);
    return status;
  }
  return ReplaceFile(temporary, path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunFiles>> RunFiles::Open(const fs::path& run_dir, int64_t committed_step) {
  for (const char* folder : {kEvaluations, kPictures}) REIN_RETURN_IF_ERROR(MakeFolder(run_dir / folder));
  for (const char* file : {kMetrics, kSamples}) REIN_RETURN_IF_ERROR(CutBack(run_dir / file, committed_step));
  REIN_RETURN_IF_ERROR(RemoveLaterEvaluations(run_dir / kEvaluations, committed_step));
  std::unique_ptr<RunFiles> files(new RunFiles(run_dir));
  REIN_ASSIGN_OR_RETURN(files->tensorboard_,
                        TensorBoardWriter::Open(run_dir / "tensorboard", committed_step + 1));
  return files;
}

absl::Status RunFiles::AppendMetrics(const json& line) {
  const std::optional<int64_t> step = StepOf(line);
  if (!step.has_value()) return absl::InvalidArgumentError("a line of metrics needs an integer 'step'");
  REIN_RETURN_IF_ERROR(AppendToFile(run_dir_ / kMetrics, Dump(line) + "\n"));
  std::vector<std::pair<std::string, double>> scalars;
  Flatten(line, "", &scalars);
  return tensorboard_->WriteScalars(*step, scalars);
}

absl::Status RunFiles::AppendSamples(const std::vector<json>& lines) {
  std::string text;
  for (const json& line : lines) absl::StrAppend(&text, Dump(line), "\n");
  return AppendToFile(run_dir_ / kSamples, text);
}

absl::Status RunFiles::KeepPicture(const std::string& digest, absl::string_view encoded) {
  REIN_ASSIGN_OR_RETURN(const std::string name, PictureName(digest, encoded));
  const fs::path path = run_dir_ / kPictures / name;
  std::error_code error;
  if (fs::file_size(path, error) == encoded.size() && !error) return absl::OkStatus();
  return WritePicture(path, encoded);
}

absl::Status RunFiles::WriteEvaluation(int64_t step, const json& evaluation) {
  const fs::path path = run_dir_ / kEvaluations / absl::StrCat("step-", step, ".json");
  REIN_RETURN_IF_ERROR(WriteFileAtomically(path, Dump(evaluation, 1) + "\n"));
  std::vector<std::pair<std::string, double>> scalars;
  Flatten(evaluation, "", &scalars);
  for (auto& [name, number] : scalars) name = "evaluation/" + name;
  return tensorboard_->WriteScalars(step, scalars);
}

bool RunFiles::HasEvaluation(int64_t step) const {
  std::error_code error;
  return fs::exists(run_dir_ / kEvaluations / absl::StrCat("step-", step, ".json"), error);
}

absl::StatusOr<std::vector<json>> RunFiles::LastMetrics(size_t count) const {
  std::ifstream file(run_dir_ / kMetrics, std::ios::binary);
  std::deque<std::string> lines;
  for (std::string line; count > 0 && std::getline(file, line);) {
    if (lines.size() == count) lines.pop_front();
    lines.push_back(std::move(line));
  }
  if (file.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", (run_dir_ / kMetrics).string()));
  std::vector<json> parsed;
  for (const std::string& line : lines) {
    json value = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (value.is_object()) parsed.push_back(std::move(value));
  }
  return parsed;
}

absl::Status WriteOutcome(const std::filesystem::path& run_dir, const std::string& state, int64_t step,
                          const std::string& error) {
  return WriteFileAtomically(run_dir / "outcome.json",
                             Dump({{"state", state}, {"step", step}, {"error", error}}, 1) + "\n");
}

}  // namespace rein::coordinator
