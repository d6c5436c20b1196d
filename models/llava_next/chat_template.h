// The chat template of LLaVA-NeXT, for folders without one.
#pragma once

namespace rein::models {

// As llava-hf/llava-v1.6-vicuna ships it. Pictures first, then "USER: question ASSISTANT:".
inline constexpr char kLlavaNextChatTemplate[] =
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'][0]['text'] }}"
    "{% else %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\\n' }}{% endfor %}"
    "{# Render all text next #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";

}  // namespace rein::models
