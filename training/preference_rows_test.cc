#include "training/preference_rows.h"

#include <vector>

#include "gtest/gtest.h"

namespace rein::training {

data::PreferenceRow ColourRow(int i) {
  data::PreferenceRow row;
  const bool red = i % 2 == 0;
  row.question = i % 4 < 2 ? "what?" : "how?";
  row.pictures = {{red ? TinyPng(250, 20, 20) : TinyPng(20, 20, 250), ""}};
  row.response[0] = red ? "red" : "blue";
  row.response[1] = "no";
  row.more_helpful = 1;
  row.safer = 2;
  row.harmless_rate[0] = -2;
  row.harmless_rate[1] = 3;
  row.is_safe[0] = false;
  row.category = "benign";
  return row;
}

// The better answer says "yes", and comes first or second.
data::PreferenceRow SeparableRow(int i) {
  data::PreferenceRow row = ColourRow(i);
  const int good = i % 2;
  row.response[good] = "yes";
  row.response[1 - good] = "no";
  row.more_helpful = good + 1;
  row.safer = 2 - good;
  row.harmless_rate[good] = -2;
  row.harmless_rate[1 - good] = 3;
  row.is_safe[good] = false;
  row.is_safe[1 - good] = true;
  return row;
}

std::filesystem::path WriteRows(const std::filesystem::path& folder, const std::string& name, int count,
                                data::PreferenceRow (*make)(int)) {
  std::vector<data::PreferenceRow> rows;
  for (int i = 0; i < count; ++i) rows.push_back(make(i));
  EXPECT_EQ(data::WritePreferences(folder / name, rows), absl::OkStatus());
  return folder / name;
}

}  // namespace rein::training
