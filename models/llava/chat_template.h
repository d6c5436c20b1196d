// The chat template of LLaVA-1.5, recognised by its text instead of interpreted.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace rein::models {

// As llava-hf/llava-1.5 ships it. Pictures first, then "USER: question ASSISTANT:".
inline constexpr char kLlava15ChatTemplate[] =
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\\n' }}{% endfor %}"
    "{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";

// Looks at chat_template.jinja, chat_template.json and tokenizer_config.json of a model folder, in that
// order; a folder without a template is taken as LLaVA-1.5. Errors: UNIMPLEMENTED (another template; names
// the file and the supported one), INVALID_ARGUMENT (a file that cannot be parsed).
absl::Status CheckChatTemplate(const std::filesystem::path& folder);

// What the template renders for one user turn with `images` pictures and the generation prompt; `image_token`
// stands where a picture does.
std::string RenderPrompt(absl::string_view question, size_t images, absl::string_view image_token);

}  // namespace rein::models
