#include "data/json_elements.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "data/records.h"

namespace rein::data {
namespace {

constexpr absl::string_view kByteOrderMark = "\xef\xbb\xbf";

bool IsSpace(int byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

// Keeps an element's bytes until it is too long.
class Collector {
 public:
  explicit Collector(std::string& text) : text_(text) { text_.clear(); }
  ~Collector() {
    if (overflows_) text_.clear();
  }
  void Add(int byte) {
    overflows_ = overflows_ || text_.size() >= JsonElements::kMaxElementBytes;
    if (!overflows_) text_.push_back(static_cast<char>(byte));
  }

 private:
  std::string& text_;
  bool overflows_ = false;
};

// Whether a text that begins with "{" is an object of numbered records.
bool IsObjectOfRecords(absl::string_view text) {
  const auto skip = [&text](auto&& is_skipped) {
    const size_t before = text.size();
    while (!text.empty() && is_skipped(text[0])) text.remove_prefix(1);
    return before - text.size();
  };
  const auto is_digit = [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); };
  text.remove_prefix(1);
  skip(IsSpace);
  if (!absl::ConsumePrefix(&text, "\"") || skip(is_digit) == 0 || !absl::ConsumePrefix(&text, "\""))
    return false;
  skip(IsSpace);
  if (!absl::ConsumePrefix(&text, ":")) return false;
  skip(IsSpace);
  return absl::StartsWith(text, "{");
}

absl::Status CheckIsText(const std::filesystem::path& file, absl::string_view head) {
  if (head.empty()) return BadFile(file, "is empty");
  if (absl::StartsWith(head, "\x1f\x8b") ||
      absl::StartsWith(head, absl::string_view("\xfd"
                                               "7zXZ\0",
                                               6)) ||
      absl::StartsWith(head, "PK\x03\x04") || absl::StartsWith(head, "\x28\xb5\x2f\xfd"))
    return BadFile(file, "is compressed; unpack it first");
  const size_t start = head.find_first_not_of(" \t\r\n");
  if (start == absl::string_view::npos || head[start] == '{' || head[start] == '[') return absl::OkStatus();
  return BadFile(file, "is neither parquet, a JSON list nor lines of JSON objects");
}

}  // namespace

absl::StatusOr<JsonElements> JsonElements::Open(const std::filesystem::path& file) {
  JsonElements elements(file);
  if (!elements.file_)
    return absl::NotFoundError(absl::StrCat(file.string(), ": there is no such file, or it is locked"));
  REIN_RETURN_IF_ERROR(elements.FindLayout());
  return elements;
}

absl::Status JsonElements::FindLayout() {
  std::string head(4096, '\0');
  file_.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(file_.gcount()));
  file_.clear();
  absl::string_view text = head;
  if (absl::StartsWith(text, kByteOrderMark)) {
    offset_ = static_cast<int64_t>(kByteOrderMark.size());
    text.remove_prefix(kByteOrderMark.size());
  }
  REIN_RETURN_IF_ERROR(CheckIsText(path_, text));
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start != absl::string_view::npos && text[start] == '[') layout_ = Layout::kList;
  if (start != absl::string_view::npos && text[start] == '{' && IsObjectOfRecords(text.substr(start)))
    layout_ = Layout::kObject;
  if (layout_ != Layout::kLines) offset_ += static_cast<int64_t>(start) + 1;
  file_.seekg(offset_);
  return absl::OkStatus();
}

int JsonElements::Take() {
  const int byte = file_.rdbuf()->sbumpc();
  if (byte == std::char_traits<char>::eof()) return -1;
  ++offset_;
  return byte;
}

absl::StatusOr<bool> JsonElements::Next(std::string& text) {
  if (layout_ == Layout::kObject) return NextOfObject(text);
  return layout_ == Layout::kList ? NextOfList(text) : NextLine(text);
}

absl::StatusOr<bool> JsonElements::NextLine(std::string& text) {
  int byte = Take();
  while (IsSpace(byte)) byte = Take();
  if (byte < 0) return false;
  Collector line(text);
  for (; byte >= 0 && byte != '\n'; byte = Take()) line.Add(byte);
  return true;
}

absl::StatusOr<bool> JsonElements::NextOfList(std::string& text) {
  int byte = Take();
  while (IsSpace(byte) || byte == ',') byte = Take();
  if (byte == ']') return false;
  if (byte < 0 || !TakeElement(byte, text)) return EndsEarly();
  return true;
}

absl::StatusOr<bool> JsonElements::NextOfObject(std::string& text) {
  int byte = Take();
  while (IsSpace(byte) || byte == ',') byte = Take();
  if (byte == '}') return false;
  if (byte != '"') return EndsEarly();
  {
    Collector key(key_);
    for (byte = Take(); byte >= 0 && byte != '"'; byte = Take()) key.Add(byte);
  }
  byte = Take();
  while (IsSpace(byte) || byte == ':') byte = Take();
  if (byte < 0 || !TakeElement(byte, text)) return EndsEarly();
  return true;
}

bool JsonElements::TakeElement(int first, std::string& text) {
  Collector element(text);
  int depth = 0;
  bool in_text = false, escaped = false;
  for (int byte = first; byte >= 0; byte = Take()) {
    element.Add(byte);
    if (in_text) {
      in_text = escaped || byte != '"';
      escaped = !escaped && byte == '\\';
    } else if (byte == '"') {
      in_text = true;
    } else if (byte == '{' || byte == '[') {
      ++depth;
    } else if (byte == '}' || byte == ']') {
      --depth;
    }
    if (depth > 0 || in_text) continue;
    const int next = file_.rdbuf()->sgetc();
    if (byte == '}' || byte == ']' || next == ',' || next == ']' || next == '}') return true;
  }
  return false;
}

absl::Status JsonElements::EndsEarly() const {
  return BadFile(path_, absl::StrCat("is cut off: the ", layout_ == Layout::kList ? "list" : "object",
                                     " does not end before byte ", offset_));
}

}  // namespace rein::data
