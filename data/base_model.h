// The model folder that scenes are learnt with, without weights.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace rein::data {

// The model_types that WriteBaseModel knows; the first is the usual one.
std::vector<std::string> BaseModelFamilies();

// INVALID_ARGUMENT (lists those that are known) where there is no such family.
absl::Status CheckBaseModelFamily(absl::string_view family);

// config.json of a small model of that family (about half a million parameters, random weights follow from
// it) for pictures of `picture_size` pixels, tokenizer, image processor and chat template, as transformers
// writes them. Errors: that of CheckBaseModelFamily, those of writing files.
absl::Status WriteBaseModel(absl::string_view family, int picture_size, const std::filesystem::path& folder);

}  // namespace rein::data
