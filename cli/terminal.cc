#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace rein::cli {

bool IsTerminal(FILE* stream) { return isatty(fileno(stream)) == 1; }

int TerminalColumns(FILE* stream) {
  winsize size{};
  const bool known = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

Paint::Paint(FILE* stream) : colours_(IsTerminal(stream) && std::getenv("NO_COLOR") == nullptr) {}

std::string Paint::With(const char* code, const std::string& text) const {
  return colours_ ? absl::StrCat("\x1b[", code, "m", text, "\x1b[0m") : text;
}

void PrintError(const std::string& message) {
  fflush(stdout);
  fprintf(stderr, "%s %s\n", Paint(stderr).Red("error:").c_str(), message.c_str());
}

std::string FormatWait(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  if (seconds < 60) return absl::StrCat(seconds, " s");
  if (seconds < 3600) return absl::StrFormat("%d min %02d s", seconds / 60, seconds % 60);
  return absl::StrFormat("%d h %02d min", seconds / 3600, seconds / 60 % 60);
}

std::string FormatFigure(double value) { return absl::StrFormat("%.3g", value); }

std::string FormatRate(double share) { return absl::StrFormat("%.1f %%", 100 * share); }

std::string FormatTable(const std::vector<std::vector<std::string>>& rows, int indent) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < row.size(); ++i) absl::StrAppendFormat(&line, "%-*s  ", widths[i], row[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace rein::cli
