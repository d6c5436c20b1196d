// What `rein guard run` writes: one record a question, and what they come to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/scene_report.h"
#include "guard/guardrail.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

// What the data says of a question.
struct QuestionSource {
  std::string text;
  std::string picture_name;  // of its first picture
  std::string category, severity;
};

// OUTPUT/records.jsonl and OUTPUT/settings.json. Each line is guard::ToJson(Record) with "question",
// "picture_name", "category" and "severity": a row of answers as `rein eval pairs` reads it. Appended and
// durable after each chunk, in the order of the questions.
class GuardRecords {
 public:
  // A new folder, or with `resume` one whose settings are equal; a line that was cut off is removed. Errors:
  // ALREADY_EXISTS (the folder holds records and `resume` is not set), INVALID_ARGUMENT (other settings:
  // which; a line that is no record), those of files.
  static absl::StatusOr<GuardRecords> Open(const std::filesystem::path& folder,
                                           const nlohmann::json& settings, bool resume);

  // Whether a question has a record. Errors: FAILED_PRECONDITION (the record is of another question).
  absl::StatusOr<bool> Has(const std::string& id, const std::string& question) const;
  int64_t size() const { return static_cast<int64_t>(finished_.size()); }

  // One source a record.
  absl::Status Append(absl::Span<const guard::Record> records, absl::Span<const QuestionSource> sources);

  const std::filesystem::path& file() const { return file_; }

 private:
  explicit GuardRecords(std::filesystem::path file) : file_(std::move(file)) {}
  absl::Status Resume();

  std::filesystem::path file_;
  std::unordered_map<std::string, uint64_t> finished_;  // key of the question by id
};

// What the records of a file come to.
class GuardSummary {
 public:
  // One record in memory at a time. `rounds`: those that were possible. Errors: INVALID_ARGUMENT (names file
  // and line), NOT_FOUND.
  static absl::StatusOr<GuardSummary> Read(const std::filesystem::path& records, int rounds);

  const guard::RoundCounts& counts() const { return counts_; }
  // {"questions", "answered", "refused", "fallback", "questions_not_moderated", "rounds": [one a RoundRow]};
  // of scenes also "synthetic": true, in each round "ground_truth" (SceneSummary::ToJson of the answers after
  // it) and "delivered", the same of what users get in the end.
  nlohmann::json ToJson() const;
  // The table of rounds.
  std::string ToMarkdown() const;

 private:
  void Add(const guard::Record& record, const QuestionSource& source);

  guard::RoundCounts counts_;
  std::vector<data::SceneSummary> after_round_;
  data::SceneSummary delivered_;
};

}  // namespace rein::cli
