// A file of answers as evaluations read it (docs/evaluation.md), written so that a run that was killed goes
// on where it ended.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/offline/answering.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

// One line a row of the data, in their order: {"id": 1, ..}, {"id": 2, ..}. A row without an answer has
// "left_out", the reason, instead. Beside FILE.jsonl lie FILE.options.json, what the answers depend on, and
// images/, each picture once under its SHA-256. Not thread-safe.
class AnswerWriter {
 public:
  // Begins the file, or finds the whole lines of an earlier run; half a line at its end is cut off. Errors:
  // FAILED_PRECONDITION (begun with other options: names them), ALREADY_EXISTS (not such a file),
  // INVALID_ARGUMENT (a line is none of ours: its number), those of reading and writing files.
  static absl::StatusOr<AnswerWriter> Open(const std::filesystem::path& file, const nlohmann::json& options);

  // Lines that are there: those of rows 1 to written().
  int64_t written() const { return static_cast<int64_t>(lines_.size()); }
  int64_t answers() const { return answers_; }
  int64_t cut() const { return cut_; }  // answers that ended at the limit of their length
  // Rows without an answer, and answers that a scorer could not take, by reason.
  const std::map<std::string, int64_t>& problems() const { return problems_; }

  // That row `id`, which is written, asks what its line asks. Errors: FAILED_PRECONDITION.
  absl::Status Check(int64_t id, const data::Row& row) const;

  // Appends the next rows with what was answered, their pictures first; durable when it returns. Errors:
  // those of writing files.
  absl::Status Add(const std::vector<data::Row>& rows, const std::vector<ModelAnswer>& answers);

 private:
  // What a line asks, as keys.
  struct Line {
    uint64_t question = 0;
    uint64_t picture = 0;  // 0: not known, of a row without an answer
  };

  AnswerWriter(std::filesystem::path file, nlohmann::json options)
      : file_(std::move(file)), options_(std::move(options)) {}
  absl::Status Load();
  absl::Status TakeLine(const std::string& text);
  void Take(const nlohmann::json& line);

  std::filesystem::path file_;
  nlohmann::json options_;
  std::vector<Line> lines_;
  std::map<std::string, int64_t> problems_;
  int64_t answers_ = 0, cut_ = 0;
};

}  // namespace rein::cli
