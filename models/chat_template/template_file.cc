#include "models/chat_template/template_file.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status.h"
#include "models/json.h"

namespace rein::models {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{16} << 20;  // tokenizer_config.json lists all added tokens

bool Exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// The template of a list whose name is "default".
absl::StatusOr<std::string> DefaultOf(const Json& list, const Fields& root) {
  std::vector<std::string> names;
  for (const Json& item : list) {
    if (!item.is_object()) return root.Error("chat_template", "has an entry that is no object");
    const Fields entry(item, absl::StrCat(root.where(), ": chat_template"));
    REIN_ASSIGN_OR_RETURN(const std::string name, entry.String("name", ""));
    if (name == "default") return entry.String("template", "");
    if (names.size() < 3) names.push_back(name);
  }
  return root.Error("chat_template", absl::StrCat("has no template named \"default\" among ", list.size(),
                                                  " (", absl::StrJoin(names, ", "), ")"));
}

// The "chat_template" of a JSON file, if it has one.
absl::StatusOr<std::optional<ChatTemplate>> TemplateIn(const std::filesystem::path& file) {
  if (!Exists(file)) return std::optional<ChatTemplate>();
  REIN_ASSIGN_OR_RETURN(const Json json, ReadJsonObject(file, kMaxBytes));
  const Fields root(json, file.string());
  const Json* value = root.Find("chat_template");
  if (value == nullptr) return std::optional<ChatTemplate>();
  std::string text;
  if (value->is_array()) {
    REIN_ASSIGN_OR_RETURN(text, DefaultOf(*value, root));
  } else {
    REIN_ASSIGN_OR_RETURN(text, root.String("chat_template", ""));
  }
  REIN_ASSIGN_OR_RETURN(ChatTemplate parsed, ChatTemplate::Parse(text, file.string()));
  return std::optional<ChatTemplate>(std::move(parsed));
}

absl::StatusOr<std::optional<ChatTemplate>> TextTemplate(const std::filesystem::path& file) {
  if (!Exists(file)) return std::optional<ChatTemplate>();
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxBytes));
  REIN_ASSIGN_OR_RETURN(ChatTemplate parsed, ChatTemplate::Parse(text, file.string()));
  return std::optional<ChatTemplate>(std::move(parsed));
}

// Entries "..._token" that are texts, or objects with a text as "content".
absl::Status AddTokens(const std::filesystem::path& file, std::map<std::string, std::string>* tokens) {
  if (!Exists(file)) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const Json json, ReadJsonObject(file, kMaxBytes));
  for (const auto& [key, value] : json.items()) {
    if (!absl::EndsWith(key, "_token")) continue;
    const Json& text = value.is_object() && value.contains("content") ? value["content"] : value;
    if (text.is_string()) (*tokens)[key] = text.get<std::string>();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<ChatTemplate>> ReadChatTemplate(const std::filesystem::path& folder) {
  for (const char* name :
       {"processor_config.json", "chat_template.json", "chat_template.jinja", "tokenizer_config.json"}) {
    const std::filesystem::path file = folder / name;
    REIN_ASSIGN_OR_RETURN(std::optional<ChatTemplate> found,
                          file.extension() == ".jinja" ? TextTemplate(file) : TemplateIn(file));
    if (found) return found;
  }
  return std::optional<ChatTemplate>();
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadSpecialTokens(
    const std::filesystem::path& folder) {
  std::map<std::string, std::string> tokens;
  REIN_RETURN_IF_ERROR(AddTokens(folder / "special_tokens_map.json", &tokens));
  REIN_RETURN_IF_ERROR(AddTokens(folder / "tokenizer_config.json", &tokens));
  return std::vector<std::pair<std::string, std::string>>(tokens.begin(), tokens.end());
}

}  // namespace rein::models
