#include "data/vlguard.h"

#include "data/fields.h"

namespace rein::data {
namespace {

using nlohmann::json;

// A category that is there and said; else `otherwise`.
json CategoryOf(const Fields& record, const char* otherwise) {
  const json* category = record.Find("harmful_category");
  return category == nullptr || *category == "" ? json(otherwise) : *category;
}

json RowOf(const Fields& record, const json& exchange) {
  const json* image = record.Find("image");
  json row = {{"image", image == nullptr ? json() : *image}};
  const ColumnNames as_they_are;
  const Fields fields(exchange, as_they_are);
  if (const json* answer = fields.Find("response")) row["answer"] = *answer;
  if (const json* benign = fields.Find("safe_instruction")) {
    row["question"] = *benign;
    row["category"] = "benign";
  } else if (const json* unsafe = fields.Find("unsafe_instruction")) {
    row["question"] = *unsafe;
    row["category"] = CategoryOf(record, "unsafe_instruction");
  } else if (const json* instruction = fields.Find("instruction")) {
    const json* safe = record.Find("safe");
    row["question"] = *instruction;
    row["category"] = safe != nullptr && YesNoOf(*safe) == true ? json("benign") : CategoryOf(record, "");
  }
  return row;
}

}  // namespace

std::filesystem::path VlGuardImages(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path() / file.stem();
  std::error_code error;
  return std::filesystem::is_directory(folder, error) ? folder : std::filesystem::path();
}

std::vector<json> VlGuardRows(const std::filesystem::path&, const json& record, const ColumnNames& columns) {
  const Fields fields(record, columns);
  const json* exchanges = fields.Find("instr-resp");
  const json none = json::object();
  if (exchanges == nullptr || !exchanges->is_array() || exchanges->empty()) return {RowOf(fields, none)};
  std::vector<json> rows;
  for (const json& exchange : *exchanges)
    rows.push_back(RowOf(fields, exchange.is_object() ? exchange : none));
  return rows;
}

}  // namespace rein::data
