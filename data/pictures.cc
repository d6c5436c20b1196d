#include "data/pictures.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "data/formats.h"
#include "data/image_header.h"

namespace rein::data {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

bool StaysInside(const Path& path) {
  return path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const Path& part) { return part == ".."; });
}

std::vector<Path> FoldersOf(const Path& file, const ReadOptions& options) {
  if (!options.images.empty()) return {options.images};
  return {file.parent_path(), file.parent_path() / "images"};
}

// "" where there is none.
std::string TakeText(json& object, const char* key) {
  const auto value = object.find(key);
  if (value == object.end()) return "";
  return value->is_string() ? std::move(value->get_ref<std::string&>()) : TextOf(*value).value_or("");
}

// The picture's bytes from the first folder that has its path.
void ReadFileOf(Picture& picture, const Path& file, const ReadOptions& options, Fields& fields) {
  if (!StaysInside(picture.path)) return fields.Drop("path of a picture leads out of its folder");
  const uint64_t max_bytes = static_cast<uint64_t>(options.image_limits.max_encoded_bytes);
  for (const Path& folder : FoldersOf(file, options)) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(folder / picture.path, error)) continue;
    absl::StatusOr<std::string> bytes = ReadFile(folder / picture.path, max_bytes);
    if (absl::IsResourceExhausted(bytes.status())) return fields.Drop("picture over the size limits");
    if (bytes.ok()) picture.bytes = *std::move(bytes);
    break;
  }
  if (picture.bytes.empty()) fields.Drop("file of a picture not found");
}

void AddPicture(json& value, const Path& file, const ReadOptions& options, Fields& fields,
                std::vector<Picture>& pictures) {
  if (value.is_null()) return;
  Picture picture;
  if (value.is_array()) {
    for (json& element : value) AddPicture(element, file, options, fields, pictures);
    return;
  }
  if (value.is_object()) {
    picture.bytes = TakeText(value, "bytes");
    picture.path = TakeText(value, "path");
  } else if (value.is_binary()) {
    picture.bytes = TextOf(value).value_or("");
  } else if (value.is_string()) {
    picture.path = value.get<std::string>();
  } else {
    return fields.Drop("image is neither bytes, a path nor a struct of these");
  }
  if (picture.bytes.empty() && picture.path.empty()) return fields.Drop("image without bytes or path");
  if (picture.bytes.empty()) ReadFileOf(picture, file, options, fields);
  pictures.push_back(std::move(picture));
}

}  // namespace

std::vector<Picture> ReadPictures(const Path& file, const ReadOptions& options, json& record,
                                  Fields& fields) {
  std::vector<Picture> pictures;
  for (const char* column : {"image", "images"}) {
    const auto value = record.find(NameInFile(options.columns, column));
    if (value != record.end()) AddPicture(*value, file, options, fields, pictures);
  }
  return pictures;
}

std::string CheckPicture(const Picture& picture, const ReadOptions& options) {
  if (options.picture_check == PictureCheck::kNone) return "";
  const ImageLimits& limits = options.image_limits;
  const absl::StatusOr<ImageHeader> header = ReadImageHeader(picture.bytes);
  if (!header.ok()) return "picture is neither PNG, JPEG nor WebP, or its header is broken";
  const bool is_large = static_cast<int64_t>(picture.bytes.size()) > limits.max_encoded_bytes ||
                        (header->height > 0 && header->width > limits.max_pixels / header->height);
  if (is_large) return "picture over the size limits";
  if (options.picture_check == PictureCheck::kHeader) return "";
  return DecodeImage(picture.bytes, limits).ok() ? "" : "picture cannot be decoded";
}

}  // namespace rein::data
