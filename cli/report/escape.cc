#include "cli/report/escape.h"

namespace rein::report {

std::string EscapeMarkup(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') escaped += c;
    }
  }
  return escaped;
}

std::string EscapeMarkdown(absl::string_view text) {
  constexpr absl::string_view kSpecial = "\\|`*_[]#!~";
  std::string escaped;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '\t') {
      escaped += ' ';
    } else if (c == '<' || c == '>' || c == '&') {
      escaped += EscapeMarkup(absl::string_view(&c, 1));
    } else {
      if (kSpecial.find(c) != absl::string_view::npos) escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace rein::report
