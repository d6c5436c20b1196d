// Renders conversations as the model folder's chat template says: a sandboxed engine for the part of Jinja
// that chat templates use, with the settings of transformers' apply_chat_template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "models/chat_template/syntax.h"

namespace rein::models {

struct ContentPart {
  enum class Kind { kText, kImage };
  Kind kind = Kind::kText;
  std::string text;  // of kText

  static ContentPart Text(std::string text) { return {Kind::kText, std::move(text)}; }
  static ContentPart Image() { return {Kind::kImage, ""}; }
};

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::vector<ContentPart> content;
};

struct RenderOptions {
  bool add_generation_prompt = false;
  // Names of tokenizer_config.json that templates may use, with their text: {"bos_token", "<s>"}.
  std::vector<std::pair<std::string, std::string>> special_tokens;
  absl::Time now = absl::Now();  // for templates that write the date
};

// Immutable, cheap to copy, thread-safe. A template reaches nothing but what Render gives it, and its work,
// memory and output are limited.
class ChatTemplate {
 public:
  // `where` names the template in errors. Errors: INVALID_ARGUMENT (broken; names the line), UNIMPLEMENTED
  // (names the construct that is not supported and those that are), RESOURCE_EXHAUSTED (too large, nested too
  // deeply).
  static absl::StatusOr<ChatTemplate> Parse(const std::string& text, std::string where);

  // Errors: INVALID_ARGUMENT (the template refuses the conversation, or pictures for a template that takes
  // none), RESOURCE_EXHAUSTED (over the limits).
  absl::StatusOr<std::string> Render(const std::vector<Message>& messages,
                                     const RenderOptions& options) const;

  // Whether a message's content goes to the template as a list of {"type", "text"}, which is how templates of
  // vision-language models take it, or as one string, its texts with newlines between. Decided by whether the
  // template has a loop over "content".
  bool takes_parts() const { return takes_parts_; }

 private:
  std::shared_ptr<const std::vector<jinja::Statement>> body_;
  std::string where_;
  bool takes_parts_ = true;
};

}  // namespace rein::models
