// Counts, and how they are shown.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

namespace rein::cli {

using Counts = std::vector<std::pair<std::string, int64_t>>;

// part / whole; 0 of nothing.
double Share(int64_t part, int64_t whole);

// Words of texts in bins: 1-4, 5-9, 10-19, 20-49, 50-99, then by hundreds.
class WordHistogram {
 public:
  void Add(const std::string& text);
  Counts bins() const;
  nlohmann::json ToJson() const;

 private:
  std::map<int64_t, int64_t> bins_;  // by the lower end
};

// The most frequent first; beyond the first eight the rest as one line, "3 other sizes".
Counts Frequent(const std::map<std::string, int64_t>& counts, const std::string& what);

// A title, and a line with a bar for each count.
void AppendHistogram(std::string& text, const std::string& title, const Counts& bins);

// "a 3, b 1".
std::string CountsText(const std::map<std::string, int64_t>& counts);

}  // namespace rein::cli
