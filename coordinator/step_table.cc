#include "coordinator/step_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace rein::coordinator {

std::string SampleId(const std::string& prompt_id, int32_t sample) {
  return absl::StrCat(prompt_id, "/", sample);
}

StepTable::StepTable(std::vector<std::string> sample_ids, size_t columns)
    : ids_(std::move(sample_ids)), entries_(ids_.size()) {
  for (size_t row = 0; row < ids_.size(); ++row) row_of_[ids_[row]] = row;
  absl::MutexLock lock(&mutex_);
  for (Entry& entry : entries_) entry.cells.resize(columns);
}

std::optional<size_t> StepTable::AddSample(v1::Sample sample) {
  const auto found = row_of_.find(sample.sample_id());
  if (found == row_of_.end()) return std::nullopt;
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[found->second];
  if (entry.sample.has_value() || !entry.drop_reason.empty()) return std::nullopt;
  entry.sample = std::move(sample);
  return found->second;
}

std::vector<size_t> StepTable::DropPrompt(const std::string& prompt_id, const std::string& reason) {
  std::vector<size_t> rows;
  const std::string prefix = absl::StrCat(prompt_id, "/");
  absl::MutexLock lock(&mutex_);
  for (size_t row = 0; row < ids_.size(); ++row) {
    Entry& entry = entries_[row];
    if (!absl::StartsWith(ids_[row], prefix)) continue;
    if (entry.sample.has_value() || !entry.drop_reason.empty()) continue;
    entry.drop_reason = reason;
    rows.push_back(row);
  }
  return rows;
}

void StepTable::Drop(size_t row, const std::string& reason) {
  absl::MutexLock lock(&mutex_);
  if (entries_[row].drop_reason.empty()) entries_[row].drop_reason = reason;
}

void StepTable::Fill(size_t row, size_t column, Cell cell) {
  absl::MutexLock lock(&mutex_);
  entries_[row].cells[column] = std::move(cell);
}

bool StepTable::settled(size_t row) const {
  absl::MutexLock lock(&mutex_);
  return entries_[row].sample.has_value() || !entries_[row].drop_reason.empty();
}

bool StepTable::dropped(size_t row) const {
  absl::MutexLock lock(&mutex_);
  return !entries_[row].drop_reason.empty();
}

const v1::Sample& StepTable::sample(size_t row) const {
  absl::MutexLock lock(&mutex_);
  return *entries_[row].sample;
}

bool StepTable::Complete(const Entry& entry) const {
  return entry.sample.has_value() && std::all_of(entry.cells.begin(), entry.cells.end(),
                                                 [](const auto& cell) { return cell.has_value(); });
}

size_t StepTable::outstanding() const {
  absl::MutexLock lock(&mutex_);
  return std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) {
    return !entry.sample.has_value() && entry.drop_reason.empty();
  });
}

size_t StepTable::incomplete() const {
  absl::MutexLock lock(&mutex_);
  size_t count = 0;
  for (const Entry& entry : entries_) count += entry.drop_reason.empty() && !Complete(entry);
  return count;
}

std::vector<StepTable::Row> StepTable::Take() {
  std::vector<Row> rows;
  absl::MutexLock lock(&mutex_);
  for (size_t i = 0; i < entries_.size(); ++i) {
    Row& row = rows.emplace_back();
    row.drop_reason = std::move(entries_[i].drop_reason);
    if (entries_[i].sample.has_value()) row.sample = *std::move(entries_[i].sample);
    row.sample.set_sample_id(ids_[i]);
    for (auto& cell : entries_[i].cells) row.cells.push_back(cell.has_value() ? *std::move(cell) : Cell{});
  }
  return rows;
}

}  // namespace rein::coordinator
