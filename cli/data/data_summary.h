// What a preference data set holds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/preferences.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

class DataSummary {
 public:
  // Counts one row; the first few are kept as examples, without their pictures.
  void Add(const data::PreferenceRow& row);

  // `report` is what reading said of the rows. {"rows", "kept", "dropped": {reason: n}, "columns":
  // {"helpful_rates", "severity": rows that have one}, "categories": {name: {"rows", "safe_responses",
  // "severities"}}, "severities", "safe_share" (of responses), "questions": {"distinct", "words":
  // histogram}, "pictures": {"distinct", "sizes": {"32 x 32 png": n}}, "examples": [..]}.
  nlohmann::json ToJson(const data::ReadReport& report) const;
  // The same for people.
  std::string ToText(const std::string& path, const data::ReadReport& report) const;

 private:
  struct Category {
    int64_t rows = 0;
    int64_t safe_responses = 0;
    std::map<std::string, int64_t> severities;
  };
  struct Example {
    std::string question, category, severity, responses[2];
    int more_helpful = 0, safer = 0;
    int harmless_rate[2] = {0, 0};
  };

  void AddPicture(const std::string& encoded);

  int64_t rows_ = 0, safe_responses_ = 0, helpful_rates_ = 0, with_severity_ = 0;
  std::map<std::string, Category> categories_;
  std::map<std::string, int64_t> severities_, picture_sizes_;
  std::map<int64_t, int64_t> question_words_;  // by the lower end of the bin
  std::map<uint32_t, int64_t> questions_;      // by checksum, so that memory stays small
  std::map<uint32_t, int64_t> pictures_;
  std::vector<Example> examples_;
};

}  // namespace rein::cli
