// Tables of Markdown; cells are escaped.
#pragma once

#include <string>
#include <vector>

namespace rein::report {

std::string MarkdownRow(const std::vector<std::string>& cells);
// The names of the columns and the line below them.
std::string MarkdownHead(const std::vector<std::string>& names);

}  // namespace rein::report
