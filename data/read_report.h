// What reading rows has counted.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace rein::data {

struct ReadReport {
  int64_t rows = 0;
  int64_t kept = 0;
  std::map<std::string, int64_t> dropped;  // rows by the first reason: {"equal responses", 3}
  std::map<std::string, int64_t> noted;    // what was seen and did not drop a row
  std::map<std::string, int64_t> formats;  // files by the name of their format
};

}  // namespace rein::data
