#include "models/chat_template/prompt_template.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "models/chat_template/template_file.h"

namespace rein::models {

absl::StatusOr<PromptTemplate> PromptTemplate::Load(const std::filesystem::path& folder,
                                                    const std::string& family_template,
                                                    absl::string_view image_text) {
  PromptTemplate prompt;
  REIN_ASSIGN_OR_RETURN(std::optional<ChatTemplate> found, ReadChatTemplate(folder));
  if (!found) {
    REIN_ASSIGN_OR_RETURN(found, ChatTemplate::Parse(family_template, "the family's chat template"));
  }
  prompt.template_ = *std::move(found);
  REIN_ASSIGN_OR_RETURN(prompt.options_.special_tokens, ReadSpecialTokens(folder));
  prompt.options_.add_generation_prompt = true;
  REIN_RETURN_IF_ERROR(WithContext(prompt.CheckPictures(image_text), folder.string()));
  return prompt;
}

// A template that cannot serve is found when the folder is loaded, not at the first question.
absl::Status PromptTemplate::CheckPictures(absl::string_view image_text) const {
  REIN_ASSIGN_OR_RETURN(const std::string prompt, Render("", 1));
  const std::vector<absl::string_view> pieces = absl::StrSplit(prompt, std::string(image_text));
  if (pieces.size() == 2) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the chat template writes \"", image_text, "\" ", pieces.size() - 1,
                   " times for one picture; once is needed, take the template of "
                   "the model's original folder"));
}

absl::StatusOr<std::string> PromptTemplate::Render(absl::string_view question, size_t images) const {
  Message message{"user", std::vector<ContentPart>(images, ContentPart::Image())};
  message.content.push_back(ContentPart::Text(std::string(question)));
  RenderOptions options = options_;
  options.now = absl::Now();
  return template_.Render({message}, options);
}

}  // namespace rein::models
