#include "cli/offline/model_folder.h"

#include "absl/strings/match.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/offline/load_progress.h"
#include "data/image.h"
#include "models/dtype.h"

namespace rein::cli {
namespace {

absl::StatusOr<ModelFolder> Load(const std::filesystem::path& folder, const std::string& dtype) {
  ModelFolder loaded;
  REIN_ASSIGN_OR_RETURN(const at::ScalarType parsed, models::ParseDtype(dtype));
  REIN_ASSIGN_OR_RETURN(loaded.processor, models::Processor::Load(folder));
  REIN_ASSIGN_OR_RETURN(loaded.model,
                        models::LoadModel(folder, {.dtype = parsed, .progress = ShowLoading(folder)}));
  REIN_RETURN_IF_ERROR(models::CheckVocabulary(*loaded.processor, *loaded.model));
  return loaded;
}

// Most errors name the file or the folder already.
absl::Status Naming(const absl::Status& status, const std::string& path) {
  return absl::StrContains(status.message(), path) ? status : WithContext(status, path);
}

}  // namespace

absl::StatusOr<ModelFolder> LoadModelFolder(const std::filesystem::path& folder, const std::string& dtype) {
  absl::StatusOr<ModelFolder> loaded = Load(folder, dtype);
  if (!loaded.ok()) return Naming(loaded.status(), folder.string());
  return loaded;
}

absl::StatusOr<models::ProcessedImage> ProcessPicture(const models::Processor& processor,
                                                      absl::string_view encoded) {
  REIN_ASSIGN_OR_RETURN(const data::RgbImage image, data::DecodeImage(encoded));
  return processor.ProcessImage(image);
}

absl::StatusOr<std::vector<models::ProcessedImage>> ReadPictures(const models::Processor& processor,
                                                                 const std::vector<std::string>& files) {
  std::vector<models::ProcessedImage> pictures;
  for (const std::string& file : files) {
    const absl::StatusOr<std::string> encoded = ReadFile(file);
    if (!encoded.ok()) return Naming(encoded.status(), file);
    absl::StatusOr<models::ProcessedImage> picture = ProcessPicture(processor, *encoded);
    if (!picture.ok()) return Naming(picture.status(), file);
    pictures.push_back(*std::move(picture));
  }
  return pictures;
}

}  // namespace rein::cli
