#include "models/llava/chat_template.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/status.h"
#include "models/json.h"

namespace rein::models {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{64} << 20;

bool Exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// "\n" inside a string literal of the template may be spelled with a backslash or be the character itself.
std::string Canonical(absl::string_view text) {
  return absl::StrReplaceAll(absl::StripAsciiWhitespace(text), {{"\n", "\\n"}});
}

absl::Status CheckText(absl::string_view text, const std::filesystem::path& file) {
  if (Canonical(text) == Canonical(kLlava15ChatTemplate)) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(file.string(),
                   ": this chat template is not supported; supported is the one of llava-hf/llava-1.5-7b-hf "
                   "(remove the template from the folder to use that one)"));
}

// The "chat_template" of a JSON file, if it has one.
absl::StatusOr<std::optional<std::string>> TemplateIn(const std::filesystem::path& file) {
  if (!Exists(file)) return std::optional<std::string>();
  REIN_ASSIGN_OR_RETURN(const Json json, ReadJsonObject(file, kMaxBytes));
  const Fields root(json, file.string());
  if (!root.Has("chat_template")) return std::optional<std::string>();
  REIN_ASSIGN_OR_RETURN(const std::string text, root.String("chat_template", ""));
  return std::optional<std::string>(text);
}

}  // namespace

absl::Status CheckChatTemplate(const std::filesystem::path& folder) {
  const std::filesystem::path jinja = folder / "chat_template.jinja";
  if (Exists(jinja)) {
    REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(jinja, kMaxBytes));
    return CheckText(text, jinja);
  }
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    REIN_ASSIGN_OR_RETURN(const std::optional<std::string> text, TemplateIn(folder / name));
    if (text) return CheckText(*text, folder / name);
  }
  return absl::OkStatus();
}

std::string RenderPrompt(absl::string_view question, size_t images, absl::string_view image_token) {
  std::string prompt = "USER: ";
  for (size_t i = 0; i < images; ++i) absl::StrAppend(&prompt, image_token, "\n");
  absl::StrAppend(&prompt, question, " ASSISTANT:");
  return prompt;
}

}  // namespace rein::models
