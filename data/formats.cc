#include "data/formats.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace rein::data {
namespace {

const std::vector<Schema>& Table() {
  static const auto& schemas = *new std::vector<Schema>{
      {Format::kBeaverTailsV,
       {"question", "image", "response_1", "response_2", "more_helpful_response_id", "safer_response_id",
        "response_1_harmless_rate", "response_2_harmless_rate", "is_response_1_safe", "is_response_2_safe",
        "category"},
       {"response_1_helpful_rate", "response_2_helpful_rate", "image_severity"}},
      {Format::kSafeRlhf,
       {"prompt", "response_0", "response_1", "better_response_id", "safer_response_id", "is_response_0_safe",
        "is_response_1_safe"},
       {"response_0_severity_level", "response_1_severity_level", "response_0_harm_category",
        "response_1_harm_category", "category"}},
      {Format::kBeaverTails, {"prompt", "response", "category", "is_safe"}, {}},
      {Format::kSpaVl, {"question", "image", "chosen", "rejected"}, {"category", "class1"}},
      {Format::kLlava, {"conversations"}, {"image", "category"}},
      {Format::kMmSafetyBench, {"Question", "Rephrased Question", "Rephrased Question(SD)"}, {"id"}},
      {Format::kVlGuard, {"image", "safe", "instr-resp"}, {"harmful_category"}},
      {Format::kVlsBench, {"instruction_id", "instruction", "image_path", "category"}, {"image"}},
      {Format::kRows,
       {"question"},
       {"image", "images", "answer", "response_1", "response_2", "more_helpful_response_id",
        "safer_response_id", "response_1_harmless_rate", "response_2_harmless_rate", "is_response_1_safe",
        "is_response_2_safe", "response_1_helpful_rate", "response_2_helpful_rate", "category", "class1",
        "image_severity"}}};
  return schemas;
}

std::vector<std::string> Missing(const Schema& schema, const std::set<std::string>& found,
                                 const ColumnNames& columns) {
  std::vector<std::string> missing;
  for (const std::string& name : schema.required) {
    if (!found.contains(NameInFile(columns, name))) missing.push_back(NameInFile(columns, name));
  }
  return missing;
}

std::string Requirement(const Schema& schema) {
  return absl::StrCat(FormatName(schema.format), " (", absl::StrJoin(schema.required, ", "), ")");
}

std::string ColumnsText(std::vector<std::string> columns, size_t shown) {
  const size_t rest = columns.size() > shown ? columns.size() - shown : 0;
  columns.resize(columns.size() - rest);
  return absl::StrCat(absl::StrJoin(columns, ", "), rest == 0 ? "" : absl::StrCat(" and ", rest, " more"));
}

absl::Status Refusal(const std::vector<std::string>& found, const Schema& nearest,
                     const std::vector<std::string>& missing, bool chosen) {
  std::string why = absl::StrCat("lacks the column ", ColumnsText(missing, 3), " of ",
                                 chosen ? "the format " : "the nearest format ", FormatName(nearest.format),
                                 "; its columns are: ", ColumnsText(found, 40),
                                 ". Map other names onto those of a format. ");
  const auto append = [](std::string* out, const Schema& schema) {
    absl::StrAppend(out, Requirement(schema));
  };
  absl::StrAppend(&why, "Formats and what they require: ", absl::StrJoin(Table(), "; ", append));
  return absl::InvalidArgumentError(why);
}

}  // namespace

absl::Span<const Schema> Schemas() { return Table(); }

const Schema& SchemaOf(Format format) {
  return *std::find_if(Table().begin(), Table().end(),
                       [format](const Schema& schema) { return schema.format == format; });
}

std::string NameInFile(const ColumnNames& columns, const std::string& name) {
  const auto mapped = columns.find(name);
  return mapped == columns.end() ? name : mapped->second;
}

absl::Status CheckColumnNames(const ColumnNames& columns) {
  std::set<std::string> known;
  for (const Schema& schema : Schemas()) {
    known.insert(schema.required.begin(), schema.required.end());
    known.insert(schema.optional.begin(), schema.optional.end());
  }
  for (const auto& [name, mapped] : columns) {
    if (known.contains(name)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name, "\" is not a column that can be mapped; known: ", absl::StrJoin(known, ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<Format> RecogniseFormat(const std::vector<std::string>& found, const ReadOptions& options) {
  const std::set<std::string> names(found.begin(), found.end());
  const Schema* nearest = nullptr;
  std::vector<std::string> nearest_missing;
  bool resembles_another = false;
  // No other format has several pictures a row.
  const bool is_own = names.contains(NameInFile(options.columns, "images"));
  for (const Schema& schema : Schemas()) {
    if (options.format && schema.format != *options.format) continue;
    const std::vector<std::string> missing = Missing(schema, names, options.columns);
    // A pair with one column renamed must not pass for rows of our own, which need none of its labels.
    const bool is_doubtful = schema.format == Format::kRows && resembles_another && !is_own;
    if (missing.empty() && !is_doubtful) return schema.format;
    if (missing.empty()) continue;
    const size_t present = schema.required.size() - missing.size();
    resembles_another = resembles_another || 2 * present > schema.required.size();
    if (nearest != nullptr && present <= nearest->required.size() - nearest_missing.size()) continue;
    nearest = &schema;
    nearest_missing = missing;
  }
  return Refusal(found, *nearest, nearest_missing, options.format.has_value());
}

std::vector<std::string> UsedColumns(Format format, const std::vector<std::string>& found,
                                     const ColumnNames& columns) {
  const Schema& schema = SchemaOf(format);
  std::set<std::string> wanted;
  for (const auto* names : {&schema.required, &schema.optional}) {
    for (const std::string& name : *names) wanted.insert(NameInFile(columns, name));
  }
  std::vector<std::string> used;
  std::copy_if(found.begin(), found.end(), std::back_inserter(used),
               [&](const std::string& name) { return wanted.contains(name); });
  return used;
}

}  // namespace rein::data
