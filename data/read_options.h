// How rows are read: the formats that are known, and what is done with rows that are not as they should be.
// docs/data.md describes them for users.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/image.h"

namespace rein::data {

enum class Format {
  kBeaverTailsV,   // pairs about a picture
  kSafeRlhf,       // PKU-SafeRLHF: pairs in text
  kBeaverTails,    // answers in text
  kSpaVl,          // chosen and rejected answers about a picture
  kLlava,          // conversations, {"from": "human" | "gpt", "value"}
  kMmSafetyBench,  // MM-SafetyBench: questions, with up to three pictures each
  kVlGuard,        // VLGuard: one or two instructions about a picture, with safe answers
  kVlsBench,       // VLSBench: questions about pictures
  kRows,           // question, and whatever else of BeaverTails-V's columns is there; an answer
};

enum class Split { kAll, kTrain, kEvaluation };

// What a rating that contradicts its label means: >= 0 with "no", or < 0 with "yes".
enum class Contradiction { kKeep, kDrop, kTrustRating, kTrustLabel };

// How far a picture is looked at before its row is handed out.
enum class PictureCheck { kNone, kHeader, kDecode };

// Names of the columns (or keys) in the files by their canonical names; a missing key means that the name is
// canonical.
using ColumnNames = std::map<std::string, std::string>;

struct ReadOptions {
  std::optional<Format> format;  // absent: recognised by the columns of each file
  Split split = Split::kAll;
  ColumnNames columns;
  // Where pictures are that the data names by path; empty: beside the file, or in a folder `images` there.
  std::filesystem::path images;
  Contradiction contradiction = Contradiction::kKeep;
  PictureCheck picture_check = PictureCheck::kHeader;
  ImageLimits image_limits;
  // Drops rows whose pictures, question and answers were seen before.
  bool drop_duplicates = false;
  // Conversations: every exchange is a row, without those before it. Else only the first one is.
  bool every_exchange = false;
  // For answers without a harmless rate that are labelled safe (SPA-VL: chosen) and unsafe (rejected).
  std::optional<int> safe_rate;    // 0 .. 3
  std::optional<int> unsafe_rate;  // -3 .. -1
};

// "beavertails-v", "safe-rlhf", "beavertails", "spa-vl", "llava", "mm-safety-bench", "vlguard", "vlsbench",
// "rows".
const char* FormatName(Format format);

// From their names on a command line: formats as above; "all", "train", "evaluation"; "keep", "drop",
// "trust_rating", "trust_label"; "none", "header", "decode". Errors: INVALID_ARGUMENT (lists the names).
absl::StatusOr<Format> ParseFormat(absl::string_view name);
absl::StatusOr<Split> ParseSplit(absl::string_view name);
absl::StatusOr<Contradiction> ParseContradiction(absl::string_view name);
absl::StatusOr<PictureCheck> ParsePictureCheck(absl::string_view name);

// "question=prompt,image=picture". Errors: INVALID_ARGUMENT (an entry that is no pair, or a name twice).
absl::StatusOr<ColumnNames> ParseColumnNames(absl::string_view text);

// Errors: INVALID_ARGUMENT (a column that no format has, a rate out of range: says which).
absl::Status CheckReadOptions(const ReadOptions& options);

}  // namespace rein::data
