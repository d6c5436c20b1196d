// Whether what a model is judged on was in its training data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "data/read_options.h"
#include "data/row.h"

namespace rein::data {

struct LeakReport {
  int64_t rows = 0;           // of the evaluation data
  int64_t same_prompt = 0;    // its picture and question are in the training data; of text its question is
  int64_t same_picture = 0;   // its picture is, byte for byte, whatever the question
  int64_t same_question = 0;  // its question is, whatever the picture
  std::vector<std::string> examples;  // questions of the first of same_prompt and same_picture
};

// 1. AddTraining every row that trains. 2. Check each row that judges. 24 bytes or so a key in memory; a
// picture that was encoded anew is another picture. Not thread-safe.
class LeakCheck {
 public:
  void AddTraining(const Row& row);
  void Check(const Row& row);
  const LeakReport& report() const { return report_; }

 private:
  std::unordered_set<uint64_t> prompts_, pictures_, questions_;
  LeakReport report_;
};

// Errors: those of RowReader, for either.
absl::StatusOr<LeakReport> FindLeaks(const std::filesystem::path& training,
                                     const std::filesystem::path& evaluation,
                                     const ReadOptions& options = {});

}  // namespace rein::data
