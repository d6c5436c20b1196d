// The samples of one step and the columns that are still missing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rein/v1/common.pb.h"

namespace rein::coordinator {

// One column of one sample: a score (size 1) or a number per response token.
struct Cell {
  std::vector<float> values;
  std::string digest;  // of the model that computed it
};

// Thread-safe. Rows keep the order in which they were planned, whatever arrives when.
class StepTable {
 public:
  StepTable(std::vector<std::string> sample_ids, size_t columns);

  size_t size() const { return ids_.size(); }
  const std::string& id(size_t row) const { return ids_[row]; }

  // The row of a sample that has just arrived; nullopt where it is unknown, dropped, or arrived before.
  std::optional<size_t> AddSample(v1::Sample sample);
  // All samples of a prompt that are not settled yet; returns their rows. The first reason stays on record.
  std::vector<size_t> DropPrompt(const std::string& prompt_id, const std::string& reason);
  void Drop(size_t row, const std::string& reason);
  void Fill(size_t row, size_t column, Cell cell);

  // The sample has arrived, or never will.
  bool settled(size_t row) const;
  bool dropped(size_t row) const;
  // Of an arrived sample; stays valid, and is not changed any more.
  const v1::Sample& sample(size_t row) const;
  // Samples that have neither arrived nor been dropped.
  size_t outstanding() const;
  // Rows that are neither dropped nor complete.
  size_t incomplete() const;

  struct Row {
    v1::Sample sample;
    std::vector<Cell> cells;
    std::string drop_reason;  // empty: complete
  };
  // Moves all rows out, in order; requires incomplete() == 0.
  std::vector<Row> Take();

 private:
  struct Entry {
    std::optional<v1::Sample> sample;
    std::vector<std::optional<Cell>> cells;
    std::string drop_reason;
  };
  bool Complete(const Entry& entry) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const std::vector<std::string> ids_;
  std::map<std::string, size_t> row_of_;
  mutable absl::Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

// "17.0/2" for sample 2 of prompt "17.0".
std::string SampleId(const std::string& prompt_id, int32_t sample);

}  // namespace rein::coordinator
