// The prompt of one question with pictures, as a folder's chat template or that of its family writes it.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/chat_template/chat_template.h"

namespace rein::models {

// Thread-safe after Load.
class PromptTemplate {
 public:
  // `family_template` serves folders that have none. `image_text` is what a picture's token reads: a template
  // that does not write it once for one picture is refused. Errors: INVALID_ARGUMENT, UNIMPLEMENTED,
  // RESOURCE_EXHAUSTED, as ReadChatTemplate.
  static absl::StatusOr<PromptTemplate> Load(const std::filesystem::path& folder,
                                             const std::string& family_template,
                                             absl::string_view image_text);

  // One turn of the user, pictures first, and the generation prompt. Errors: as ChatTemplate::Render.
  absl::StatusOr<std::string> Render(absl::string_view question, size_t images) const;

 private:
  absl::Status CheckPictures(absl::string_view image_text) const;

  ChatTemplate template_;
  RenderOptions options_;
};

}  // namespace rein::models
