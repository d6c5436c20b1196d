#include "models/tokenizer/post_processor.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/component.h"

namespace rein::models {
namespace {

constexpr char kSupported[] =
    "TemplateProcessing, RobertaProcessing, BertProcessing, ByteLevel, Sequence, none";
constexpr size_t kMaxTokens = 64;

absl::Status Append(const Fields& fields, const std::vector<int64_t>& ids, int32_t size,
                    std::vector<int32_t>& tokens) {
  for (const int64_t id : ids) {
    if (id < 0 || id >= size)
      return fields.Error("ids", absl::StrCat("has ", id, ", there are ", size, " tokens"));
    if (tokens.size() == kMaxTokens) return fields.Error("ids", absl::StrCat("has more than ", kMaxTokens));
    tokens.push_back(static_cast<int32_t>(id));
  }
  return absl::OkStatus();
}

absl::Status AppendSpecial(const Fields& processor, const Fields& item, int32_t size,
                           std::vector<int32_t>& tokens) {
  REIN_ASSIGN_OR_RETURN(const Fields token, item.Object("SpecialToken"));
  REIN_ASSIGN_OR_RETURN(const std::string name, token.String("id", ""));
  REIN_ASSIGN_OR_RETURN(const Fields specials, processor.Object("special_tokens"));
  REIN_ASSIGN_OR_RETURN(const Fields special, specials.Object(name));
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, special.IntOrInts("ids", {}));
  if (ids.empty()) return processor.Error("special_tokens", absl::StrCat("lacks ids for \"", name, "\""));
  return Append(special, ids, size, tokens);
}

absl::StatusOr<PostProcessor> ParseTemplate(const Fields& processor, int32_t size) {
  const Json* single = processor.Find("single");
  if (single == nullptr || !single->is_array()) return processor.Error("single", "is missing or no list");
  PostProcessor result;
  int texts = 0;
  for (const Json& json : *single) {
    if (!json.is_object()) return processor.Error("single", "holds something that is no object");
    const Fields item(json, processor.where());
    if (item.Has("Sequence")) {
      REIN_ASSIGN_OR_RETURN(const Fields sequence, item.Object("Sequence"));
      REIN_ASSIGN_OR_RETURN(const std::string id, sequence.String("id", ""));
      if (id != "A") return processor.Error("single", absl::StrCat("holds sequence \"", id, "\", not \"A\""));
      ++texts;
    } else if (item.Has("SpecialToken")) {
      REIN_RETURN_IF_ERROR(AppendSpecial(processor, item, size, texts == 0 ? result.before : result.after));
    } else {
      return processor.Error("single", "holds an item that is neither Sequence nor SpecialToken");
    }
  }
  if (texts != 1)
    return processor.Error("single", absl::StrCat("holds the text ", texts, " times, not once"));
  return result;
}

// ["</s>", 2]
absl::Status AppendPair(const Fields& processor, const std::string& key, int32_t size,
                        std::vector<int32_t>& tokens) {
  const Json* pair = processor.Find(key);
  const bool fits = pair != nullptr && pair->is_array() && pair->size() == 2 && (*pair)[0].is_string() &&
                    (*pair)[1].is_number_unsigned() && (*pair)[1].get<uint64_t>() <= INT32_MAX;
  if (!fits) return processor.Error(key, "is missing or no pair of a token and its id");
  return Append(processor, {(*pair)[1].get<int64_t>()}, size, tokens);
}

absl::StatusOr<PostProcessor> ParseClassifierAndSeparator(const Fields& processor, int32_t size) {
  PostProcessor result;
  REIN_RETURN_IF_ERROR(AppendPair(processor, "cls", size, result.before));
  REIN_RETURN_IF_ERROR(AppendPair(processor, "sep", size, result.after));
  return result;
}

}  // namespace

absl::StatusOr<PostProcessor> ParsePostProcessor(const Fields& root, int32_t size) {
  PostProcessor result;
  bool any = false;
  const auto visit = [&](const Fields& component, const std::string& type) -> absl::Status {
    if (type == "ByteLevel") return absl::OkStatus();
    const bool is_template = type == "TemplateProcessing";
    if (!is_template && type != "RobertaProcessing" && type != "BertProcessing") {
      return component.Unsupported("type", type, kSupported);
    }
    if (any) return component.Unsupported("type", type, "one that adds tokens");
    any = true;
    REIN_ASSIGN_OR_RETURN(
        result, is_template ? ParseTemplate(component, size) : ParseClassifierAndSeparator(component, size));
    return absl::OkStatus();
  };
  REIN_RETURN_IF_ERROR(ForEachComponent(root, "post_processor", "processors", visit));
  return result;
}

}  // namespace rein::models
