// What a template expects a message's content to be.
#pragma once

#include <vector>

#include "models/chat_template/syntax.h"

namespace rein::models::jinja {

// Whether a loop goes over message['content'] or a name that was set to it.
bool LoopsOverContent(const std::vector<Statement>& body);

}  // namespace rein::models::jinja
