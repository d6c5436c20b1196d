// TensorBoard event files: TFRecord framing around the few fields of tensorflow.Event that scalars need.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rein {

// One thread. Errors of all: RESOURCE_EXHAUSTED (disk full; no half record is left behind), UNAVAILABLE.
class TensorBoardWriter {
 public:
  // A new event file in `folder`, which is made if it is not there. Its first records are the file version
  // and a session start that makes TensorBoard forget what earlier files hold from `first_step` on.
  static absl::StatusOr<std::unique_ptr<TensorBoardWriter>> Open(const std::filesystem::path& folder,
                                                                 int64_t first_step);

  // Appends one event with all scalars, as float32.
  absl::Status WriteScalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  // The same for several steps, all or none.
  struct Event {
    int64_t step = 0;
    std::vector<std::pair<std::string, double>> scalars;
  };
  absl::Status Write(const std::vector<Event>& events);

 private:
  explicit TensorBoardWriter(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace rein
