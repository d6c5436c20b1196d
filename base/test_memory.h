// Helps tests: what work takes of memory.
#pragma once

#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace rein {

// A figure of /proc/self/status ("VmHWM") in bytes; -1 where there is none.
inline int64_t ProcessBytes(absl::string_view key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    absl::string_view value = line;
    int64_t kilobytes = 0;
    if (!absl::ConsumePrefix(&value, key) || !absl::ConsumePrefix(&value, ":")) continue;
    return absl::SimpleAtoi(absl::StripSuffix(value, " kB"), &kilobytes) ? kilobytes << 10 : -1;
  }
  return -1;
}

// By how much the resident memory of this process rose at most while `work` ran; -1 where it cannot be told.
template <typename Work>
int64_t PeakRise(Work work) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return -1;
#endif
  malloc_trim(0);
  std::ofstream reset("/proc/self/clear_refs");
  if (!(reset << "5" << std::flush)) return -1;
  const int64_t before = ProcessBytes("VmRSS");
  work();
  return std::max<int64_t>(0, ProcessBytes("VmHWM") - before);
}

}  // namespace rein
