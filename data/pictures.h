// Pictures of a record: in it, or in files that it names. For data/ and evaluation/ only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/fields.h"
#include "data/read_options.h"
#include "data/row.h"

namespace rein::data {

// Of the columns image and images: bytes, struct<bytes, path>, a path, or a list of these; none where both
// are null. A path is looked up below options.images, or beside `file` and in the folder `images` there.
// Drops the row (in `fields`) when a picture is not there, or its path leads out of the folder. Moves bytes
// out of `record`.
std::vector<Picture> ReadPictures(const std::filesystem::path& file, const ReadOptions& options,
                                  nlohmann::json& record, Fields& fields);

// Why a picture cannot be used, as far as options.picture_check looks; empty: it can.
std::string CheckPicture(const Picture& picture, const ReadOptions& options);

}  // namespace rein::data
