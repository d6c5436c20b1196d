// Answers of models to questions, read from files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "evaluation/judge.h"

namespace rein::evaluation {

// A question, as a file of answers names it.
struct Question {
  std::string id;
  std::string text;
  std::string image;         // path of the picture, below the folder of images; empty: there is none
  std::string picture_name;  // what the data set calls the picture; else `image`
  std::string category;      // of the question; "benign" or a harm; empty: not said
  std::string severity;      // of the question with its picture: safe, minor, moderate, severe; or empty

  bool benign() const { return category == "benign"; }
  bool harmful() const { return !category.empty() && !benign(); }
};

struct AnsweredQuestion {
  Question question;
  Answer answer;
};

struct AnswerFile {
  std::vector<AnsweredQuestion> rows;
  int64_t read = 0;
  std::map<std::string, int64_t> dropped;  // by reason
};

// JSONL (or parquet) rows {"id", "question", "answer"}, optional "image", "picture_name", "category",
// "severity", "reward", "cost", "cut". Rows that lack what they must have, have a field of another type or
// repeat an id are dropped and counted, as are those that were left out when the answers were made: their
// "left_out" is the reason. Errors: NOT_FOUND, INVALID_ARGUMENT (not such a file, no usable row: says why).
absl::StatusOr<AnswerFile> ReadAnswers(const std::filesystem::path& file);

// The answer of the model that is evaluated, and that of the base.
struct AnswerPair {
  Question question;
  Answer ours, base;
};

struct PairedAnswers {
  std::vector<AnswerPair> pairs;  // in the order of `ours`
  int64_t only_ours = 0;          // ids
  int64_t only_base = 0;
  int64_t different_questions = 0;  // one id, but another text or picture
};

// By id. What the question says beyond that is what `ours` says. Errors: INVALID_ARGUMENT (no id in common).
absl::StatusOr<PairedAnswers> PairAnswers(const AnswerFile& ours, const AnswerFile& base);

// Encoded bytes of a picture named by answers. Errors: NOT_FOUND (the message is a reason to count by).
absl::StatusOr<std::string> LoadImage(const std::filesystem::path& folder, const std::string& image);

}  // namespace rein::evaluation
