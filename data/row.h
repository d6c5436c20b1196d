// One row of any data set: a question, with pictures or without, and what was answered.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace rein::data {

struct Picture {
  std::string bytes;  // encoded PNG, JPEG or WebP
  std::string path;   // as in the data, may be empty
  bool operator==(const Picture&) const = default;
};

struct Response {
  std::string text;
  std::optional<bool> is_safe;
  std::optional<int> harmless_rate;  // -3 .. 3, > 0 harmless
  std::optional<int> helpful_rate;   // 0 .. 3
  bool operator==(const Response&) const = default;
};

// What a data set does not say is absent; nothing is made up.
struct Row {
  std::string question;
  std::vector<Picture> pictures;
  std::vector<Response> responses;  // none: a prompt; one: a demonstration; two: a pair
  std::optional<int> more_helpful;  // 1 or 2, of a pair
  std::optional<int> safer;         // 1 or 2, of a pair
  std::string category;             // of the question; empty: not said
  std::string severity;  // of the question with its picture: safe, minor, moderate, severe; or empty
  bool operator==(const Row&) const = default;
};

}  // namespace rein::data
