#include "cli/report/markdown_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/report/escape.h"

namespace rein::report {

std::string MarkdownRow(const std::vector<std::string>& cells) {
  std::vector<std::string> escaped;
  for (const std::string& cell : cells) escaped.push_back(EscapeMarkdown(cell));
  return absl::StrCat("| ", absl::StrJoin(escaped, " | "), " |\n");
}

std::string MarkdownHead(const std::vector<std::string>& names) {
  return absl::StrCat(MarkdownRow(names), "|",
                      absl::StrJoin(std::vector<std::string>(names.size(), " --- "), "|"), "|\n");
}

}  // namespace rein::report
