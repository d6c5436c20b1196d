// Finds the chat template of a model folder.
#pragma once

#include <filesystem>
#include <optional>

#include "absl/status/statusor.h"
#include "models/chat_template/chat_template.h"

namespace rein::models {

// As transformers' processors do, the first that exists of: "chat_template" of processor_config.json,
// chat_template.json, chat_template.jinja, "chat_template" of tokenizer_config.json. There a list of
// {"name", "template"} gives the one named "default". Nothing when the folder has no template. Errors:
// INVALID_ARGUMENT, UNIMPLEMENTED, RESOURCE_EXHAUSTED (as ChatTemplate::Parse, with the file's name).
absl::StatusOr<std::optional<ChatTemplate>> ReadChatTemplate(const std::filesystem::path& folder);

// The special tokens that templates may use ("bos_token", "eos_token", ...), from special_tokens_map.json and
// tokenizer_config.json; the latter wins. Errors: INVALID_ARGUMENT (a file that is no JSON object).
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadSpecialTokens(
    const std::filesystem::path& folder);

}  // namespace rein::models
