#include "data/vlsbench.h"

#include "data/fields.h"

namespace rein::data {
namespace {

using nlohmann::json;

json ValueOf(const json* value) { return value == nullptr ? json() : *value; }

// The picture by the path that names it in the data set.
json ImageOf(const Fields& fields) {
  const json *image = fields.Find("image"), *path = fields.Find("image_path");
  if (image == nullptr) return ValueOf(path);
  if (path == nullptr || !image->is_object() || !image->contains("bytes")) return *image;
  return {{"bytes", image->at("bytes")}, {"path", *path}};
}

}  // namespace

std::filesystem::path VlsBenchImages(const std::filesystem::path&) { return {}; }

std::vector<json> VlsBenchRows(const std::filesystem::path&, const json& record, const ColumnNames& columns) {
  const Fields fields(record, columns);
  const json row = {{"question", ValueOf(fields.Find("instruction"))},
                    {"image", ImageOf(fields)},
                    {"category", ValueOf(fields.Find("category"))}};
  return {row};
}

}  // namespace rein::data
