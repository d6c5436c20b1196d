// What a data set holds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "cli/data/histogram.h"
#include "data/leaks.h"
#include "data/read_report.h"
#include "data/row.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

class DataSummary {
 public:
  // Counts one row; the first few are kept as examples, without their pictures. Memory grows by a few bytes
  // for each distinct question and picture.
  void Add(const data::Row& row);

  // `report` is what reading said of the rows. {"rows", "kept", "dropped", "noted": {reason: n}, "formats":
  // {name: files}, "columns": {column: rows that say it}, "categories": {name: {"rows", "safe_responses",
  // "labelled_responses", "severities"}}, "severities", "safe_share" (of labelled responses; null: none),
  // "questions": {"distinct", "words": histogram}, "responses": {"per_row", "words"}, "pictures":
  // {"distinct", "per_row", "sizes": {"32 x 32 png": n}}, "examples": [..]}.
  nlohmann::json ToJson(const data::ReadReport& report) const;
  // The same for people.
  std::string ToText(const std::string& path, const data::ReadReport& report) const;

 private:
  struct Category {
    int64_t rows = 0, safe_responses = 0, labelled_responses = 0;
    std::map<std::string, int64_t> severities;
  };

  void CountColumns(const data::Row& row);
  void CountPictures(const data::Row& row);
  std::string CategoriesText() const;
  std::string ExamplesText() const;

  int64_t rows_ = 0, safe_responses_ = 0, labelled_responses_ = 0;
  std::map<std::string, int64_t> columns_, severities_, picture_sizes_, pictures_per_row_, responses_per_row_;
  std::map<std::string, Category> categories_;
  WordHistogram question_words_, response_words_;
  std::unordered_set<uint64_t> questions_, pictures_;  // by key, so that memory stays small
  std::vector<data::Row> examples_;
};

// "18 rows of 21; dropped: no question 2, ...; noted: ...".
std::string CountsText(const data::ReadReport& report);

// {"rows", "same_prompt", "same_picture", "same_question", "examples"}.
nlohmann::json ToJson(const data::LeakReport& report);
std::string ToText(const std::string& training, const data::LeakReport& report);

}  // namespace rein::cli
