// The model folder that scenes are learnt with, without weights.
#pragma once

#include <filesystem>

#include "absl/status/status.h"

namespace rein::data {

// config.json of a LLaVA-layout model of about half a million parameters for pictures of `picture_size`
// pixels, tokenizer, image processor and chat template, as transformers writes them. Errors: those of writing
// files.
absl::Status WriteBaseModel(int picture_size, const std::filesystem::path& folder);

}  // namespace rein::data
