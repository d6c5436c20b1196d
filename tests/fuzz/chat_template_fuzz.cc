// Bytes as a chat template: parsed and rendered, they give a text or an error, within the limits.
#include <cstdint>
#include <string>

#include "models/chat_template/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using rein::models::ContentPart;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto parsed = rein::models::ChatTemplate::Parse(text, "fuzz");
  if (!parsed.ok()) return 0;
  const std::vector<rein::models::Message> messages = {
      {"system", {ContentPart::Text("Be brief.")}},
      {"user", {ContentPart::Image(), ContentPart::Text("What is \xF0\x9F\x98\x80?")}},
      {"assistant", {ContentPart::Text("\xFF no UTF-8")}},
  };
  (void)parsed->Render(messages, {.add_generation_prompt = true, .special_tokens = {{"bos_token", "<s>"}}});
  return 0;
}
