// Cuts a JSON file into the texts of its records without parsing them: lines, elements of one list, or values
// of one object whose keys are numbers. Not for other folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rein::data {

class JsonElements {
 public:
  // A longer element is cut off here, so that a file without an end costs no more memory.
  static constexpr size_t kMaxElementBytes = size_t{64} << 20;

  // A file that begins with "[" is a list, one that begins like {"0": { an object of numbered records, any
  // other lines.
  // Errors: NOT_FOUND, INVALID_ARGUMENT (empty, compressed, parquet, or not text).
  static absl::StatusOr<JsonElements> Open(const std::filesystem::path& file);

  // The text of the next element, empty where it is longer than kMaxElementBytes; false at the end. Blank
  // lines are skipped. Errors: INVALID_ARGUMENT (the list or object ends early: names the byte).
  absl::StatusOr<bool> Next(std::string& text);

  // Of the element that Next gave last, in an object of records; else empty.
  const std::string& key() const { return key_; }

 private:
  explicit JsonElements(std::filesystem::path file)
      : path_(std::move(file)), file_(path_, std::ios::binary) {}

  absl::Status FindLayout();
  int Take();  // the next byte; -1 at the end
  absl::StatusOr<bool> NextLine(std::string& text);
  absl::StatusOr<bool> NextOfList(std::string& text);
  absl::StatusOr<bool> NextOfObject(std::string& text);
  bool TakeElement(int first, std::string& text);  // false: the file ends within it
  absl::Status EndsEarly() const;

  std::filesystem::path path_;
  std::ifstream file_;
  enum class Layout { kLines, kList, kObject } layout_ = Layout::kLines;
  std::string key_;
  int64_t offset_ = 0;  // of the next byte
};

}  // namespace rein::data
