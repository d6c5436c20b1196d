#include "models/chat_template/chat_template.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/chat_template/content_form.h"
#include "models/chat_template/interpreter.h"
#include "models/chat_template/parser.h"

namespace rein::models {
namespace {

using jinja::Value;

constexpr size_t kMaxBytes = 256 << 10;  // of a template; the longest in use have 20 KiB

absl::StatusOr<Value> Part(const ContentPart& part) {
  if (part.kind == ContentPart::Kind::kImage) return Value::OfDict({{"type", Value("image")}});
  return Value::OfDict({{"type", Value("text")}, {"text", Value(part.text)}});
}

absl::StatusOr<Value> PartList(const Message& message) {
  std::vector<Value> parts;
  for (const ContentPart& part : message.content) {
    REIN_ASSIGN_OR_RETURN(Value value, Part(part));
    parts.push_back(std::move(value));
  }
  return Value::OfList(std::move(parts));
}

absl::StatusOr<Value> OneString(const Message& message) {
  std::string text;
  for (const ContentPart& part : message.content) {
    if (part.kind == ContentPart::Kind::kImage) {
      return absl::InvalidArgumentError(
          "the chat template takes texts only, the conversation has a picture; use the template of a "
          "vision-language model");
    }
    absl::StrAppend(&text, &part == &message.content.front() ? "" : "\n", part.text);
  }
  return Value(std::move(text));
}

absl::StatusOr<Value> MessageList(const std::vector<Message>& messages, bool as_parts) {
  std::vector<Value> values;
  for (const Message& message : messages) {
    REIN_ASSIGN_OR_RETURN(Value content, as_parts ? PartList(message) : OneString(message));
    REIN_ASSIGN_OR_RETURN(Value value,
                          Value::OfDict({{"role", Value(message.role)}, {"content", std::move(content)}}));
    values.push_back(std::move(value));
  }
  return Value::OfList(std::move(values));
}

absl::StatusOr<std::string> RenderBody(const std::vector<jinja::Statement>& body, bool as_parts,
                                       const std::vector<Message>& messages, const RenderOptions& options) {
  REIN_ASSIGN_OR_RETURN(Value list, MessageList(messages, as_parts));
  // transformers defines tools and documents, as none, also where a conversation has none.
  std::vector<std::pair<std::string, Value>> globals = {
      {"messages", std::move(list)},
      {"tools", Value(Value::None{})},
      {"documents", Value(Value::None{})},
      {"add_generation_prompt", Value(options.add_generation_prompt)},
  };
  for (const auto& [name, text] : options.special_tokens) globals.emplace_back(name, Value(text));
  return jinja::Render(body, std::move(globals), options.now);
}

}  // namespace

absl::StatusOr<ChatTemplate> ChatTemplate::Parse(const std::string& text, std::string where) {
  if (text.size() > kMaxBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(where, ": the chat template has ", text.size(),
                                                     " bytes, at most ", kMaxBytes, " are allowed"));
  }
  absl::StatusOr<std::vector<jinja::Statement>> body = jinja::Parse(text);
  if (!body.ok()) return WithContext(body.status(), where);
  ChatTemplate chat_template;
  chat_template.takes_parts_ = jinja::LoopsOverContent(*body);
  chat_template.body_ = std::make_shared<const std::vector<jinja::Statement>>(*std::move(body));
  chat_template.where_ = std::move(where);
  return chat_template;
}

absl::StatusOr<std::string> ChatTemplate::Render(const std::vector<Message>& messages,
                                                 const RenderOptions& options) const {
  absl::StatusOr<std::string> text = RenderBody(*body_, takes_parts_, messages, options);
  return text.ok() ? std::move(text) : WithContext(text.status(), where_);
}

}  // namespace rein::models
