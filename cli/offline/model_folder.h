// What the offline verbs need of a model folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/processor.h"
#include "models/vision_language_model.h"

namespace rein::cli {

struct ModelFolder {
  std::unique_ptr<models::Processor> processor;
  std::unique_ptr<models::VisionLanguageModel> model;  // on the CPU
};

// Shows on standard error how far it is, where it takes longer than a second. Errors: those of LoadModel,
// Processor::Load and CheckVocabulary, with the folder's name; UNIMPLEMENTED (`dtype`: see ParseDtype).
absl::StatusOr<ModelFolder> LoadModelFolder(const std::filesystem::path& folder,
                                            const std::string& dtype = "float32");

// A picture of a data set. Errors: INVALID_ARGUMENT (no picture, broken, too large).
absl::StatusOr<models::ProcessedImage> ProcessPicture(const models::Processor& processor,
                                                      absl::string_view encoded);

// Pictures from files, in their order. Errors name the file: NOT_FOUND, and those of ProcessPicture.
absl::StatusOr<std::vector<models::ProcessedImage>> ReadPictures(const models::Processor& processor,
                                                                 const std::vector<std::string>& files);

}  // namespace rein::cli
