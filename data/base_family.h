// What the base model folders of families do not share. Not for other folders.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace rein::data {

// What configurations say of the vocabulary.
struct BaseTokens {
  std::map<std::string, int> ids;  // of the special tokens
  int begin = 0, end = 0, pad = 0, image = 0;
  int embeddings = 0;  // tokens, rounded up
};

struct BaseFamily {
  const char* model_type;
  const char* processor_class;        // of transformers
  std::vector<std::string> specials;  // the first tokens, in the order of their ids
  const char* begin;
  const char* end;
  const char* pad;
  const char* image;
  bool tokenizer_begins = false;            // else the chat template writes what a prompt begins with
  std::vector<std::string> template_words;  // of the chat template, that are to be one token each
  const char* chat_template;
  // config.json, preprocessor_config.json and processor_config.json, for pictures of `picture_size` pixels.
  nlohmann::ordered_json (*config)(const BaseTokens& tokens, int picture_size);
  nlohmann::ordered_json (*image_processor)(int picture_size);
  nlohmann::ordered_json (*processor)(int picture_size);
};

// In the order in which messages list them.
absl::Span<const BaseFamily> BaseFamilies();

}  // namespace rein::data
