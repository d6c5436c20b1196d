#include "models/chat_template/strings.h"

#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "models/chat_template/text.h"

namespace rein::models::jinja {
namespace {

void AppendUtf16Escapes(absl::string_view character, std::string* out) {
  int32_t at = 0;
  UChar32 c = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(character.data());
  U8_NEXT_OR_FFFD(bytes, at, static_cast<int32_t>(character.size()), c);
  if (c < 0x10000) {
    absl::StrAppendFormat(out, "\\u%04x", c);
  } else {
    absl::StrAppendFormat(out, "\\u%04x\\u%04x", U16_LEAD(c), U16_TRAIL(c));
  }
}

void AppendJsonCharacter(absl::string_view character, bool ensure_ascii, std::string* out) {
  static constexpr absl::string_view kEscaped = "\"\\\n\r\t\b\f", kNames = "\"\\nrtbf";
  const size_t index = character.size() == 1 ? kEscaped.find(character[0]) : absl::string_view::npos;
  if (index != absl::string_view::npos) {
    out->append({'\\', kNames[index]});
  } else if (static_cast<uint8_t>(character[0]) < 0x20) {
    absl::StrAppendFormat(out, "\\u%04x", character[0]);
  } else if (ensure_ascii && (character.size() > 1 || static_cast<uint8_t>(character[0]) > 0x7E)) {
    AppendUtf16Escapes(character, out);
  } else {
    absl::StrAppend(out, character);
  }
}

// json.dumps, whose layout depends on `indent`.
class JsonWriter {
 public:
  JsonWriter(bool ensure_ascii, int64_t indent) : ensure_ascii_(ensure_ascii), indent_(indent) {}

  absl::Status Write(const Value& value) {
    if (value.is_none()) {
      text_ += "null";
    } else if (value.is_bool()) {
      text_ += value.integer() != 0 ? "true" : "false";
    } else if (value.is_integer()) {
      absl::StrAppend(&text_, value.integer());
    } else if (value.is_string()) {
      WriteString(value.string());
    } else if (value.is_list()) {
      return WriteList(value.list());
    } else if (value.is_dict()) {
      return WriteDict(value.dict());
    } else {
      return absl::InvalidArgumentError(absl::StrCat(Describe(value), " cannot be written as JSON"));
    }
    return absl::OkStatus();
  }

  std::string text_;

 private:
  void WriteString(const std::string& text) {
    text_.push_back('"');
    for (absl::string_view character : Characters(text))
      AppendJsonCharacter(character, ensure_ascii_, &text_);
    text_.push_back('"');
  }

  void NewLine() {
    if (indent_ >= 0) absl::StrAppend(&text_, "\n", std::string(static_cast<size_t>(indent_ * level_), ' '));
  }

  void Separate(bool first) {
    if (!first) text_ += indent_ >= 0 ? "," : ", ";
    NewLine();
  }

  absl::Status WriteList(const List& list) {
    if (list.items.empty()) return Close("[]");
    text_.push_back('[');
    ++level_;
    for (const Value& item : list.items) {
      Separate(&item == &list.items.front());
      REIN_RETURN_IF_ERROR(Write(item));
    }
    --level_;
    NewLine();
    return Close("]");
  }

  absl::Status WriteDict(const Dict& dict) {
    if (dict.items.empty()) return Close("{}");
    text_.push_back('{');
    ++level_;
    for (const auto& item : dict.items) {
      Separate(&item == &dict.items.front());
      WriteString(item.first);
      text_ += ": ";
      REIN_RETURN_IF_ERROR(Write(item.second));
    }
    --level_;
    NewLine();
    return Close("}");
  }

  absl::Status Close(absl::string_view bracket) {
    absl::StrAppend(&text_, bracket);
    return absl::OkStatus();
  }

  bool ensure_ascii_;
  int64_t indent_;
  int64_t level_ = 0;
};

}  // namespace

absl::StatusOr<Value> Replace(const std::string& text, const Value& old, const Value& with,
                              const Value& count, Budget* budget) {
  const std::string from = ToText(old), to = ToText(with);
  if (from.empty()) return absl::InvalidArgumentError("an empty string cannot be replaced");
  if (!count.is_undefined() && !count.is_none() && !count.is_integer())
    return absl::InvalidArgumentError(absl::StrCat("the count of a replacement is ", Describe(count)));
  int64_t left = count.is_integer() ? count.integer() : -1;
  std::string out;
  size_t at = 0;
  for (size_t found = text.find(from); left != 0 && found != std::string::npos; --left) {
    REIN_RETURN_IF_ERROR(budget->Charge(static_cast<int64_t>(found - at + to.size() + 1)));
    out.append(text, at, found - at).append(to);
    at = found + from.size();
    found = text.find(from, at);
  }
  return Value(out.append(text, at));
}

absl::StatusOr<Value> Join(const std::vector<Value>& items, absl::string_view separator, Budget* budget) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    REIN_RETURN_IF_ERROR(budget->Charge(SizeOf(items[i]) + static_cast<int64_t>(separator.size())));
    absl::StrAppend(&out, i == 0 ? "" : separator, ToText(items[i]));
  }
  return Value(std::move(out));
}

absl::StatusOr<std::string> ToJson(const Value& value, bool ensure_ascii, int64_t indent) {
  JsonWriter writer(ensure_ascii, indent);
  REIN_RETURN_IF_ERROR(writer.Write(value));
  return std::move(writer.text_);
}

}  // namespace rein::models::jinja
