#include "data/leaks.h"

#include "absl/functional/function_ref.h"
#include "base/status.h"
#include "data/row_keys.h"
#include "data/row_reader.h"

namespace rein::data {
namespace {

constexpr size_t kExamples = 3;

absl::Status Visit(const std::filesystem::path& path, const ReadOptions& options,
                   absl::FunctionRef<void(const Row&)> visit) {
  REIN_ASSIGN_OR_RETURN(RowReader reader, RowReader::Open(path, options));
  while (true) {
    REIN_ASSIGN_OR_RETURN(const std::optional<Row> row, reader.Next());
    if (!row) return absl::OkStatus();
    visit(*row);
  }
}

}  // namespace

void LeakCheck::AddTraining(const Row& row) {
  prompts_.insert(PromptKey(row));
  questions_.insert(KeyOf(row.question));
  for (const Picture& picture : row.pictures) pictures_.insert(KeyOf(picture.bytes));
}

void LeakCheck::Check(const Row& row) {
  bool same_picture = false;
  for (const Picture& picture : row.pictures)
    same_picture = same_picture || pictures_.contains(KeyOf(picture.bytes));
  const bool same_prompt = prompts_.contains(PromptKey(row));
  ++report_.rows;
  report_.same_prompt += same_prompt ? 1 : 0;
  report_.same_picture += same_picture ? 1 : 0;
  report_.same_question += questions_.contains(KeyOf(row.question)) ? 1 : 0;
  if ((same_prompt || same_picture) && report_.examples.size() < kExamples)
    report_.examples.push_back(row.question);
}

absl::StatusOr<LeakReport> FindLeaks(const std::filesystem::path& training,
                                     const std::filesystem::path& evaluation, const ReadOptions& options) {
  LeakCheck check;
  REIN_RETURN_IF_ERROR(Visit(training, options, [&check](const Row& row) { check.AddTraining(row); }));
  REIN_RETURN_IF_ERROR(Visit(evaluation, options, [&check](const Row& row) { check.Check(row); }));
  return check.report();
}

}  // namespace rein::data
