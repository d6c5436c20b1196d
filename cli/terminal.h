// What standard output and error are connected to, and how figures look to a reader.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace rein::cli {

bool IsTerminal(FILE* stream);
// Columns of the terminal; 80 where it does not tell.
int TerminalColumns(FILE* stream);

// Colours on a terminal (unless NO_COLOR is set); plain text elsewhere.
class Paint {
 public:
  explicit Paint(FILE* stream);
  explicit Paint(bool colours) : colours_(colours) {}
  std::string Red(const std::string& text) const { return With("31", text); }
  std::string Green(const std::string& text) const { return With("32", text); }
  std::string Yellow(const std::string& text) const { return With("33", text); }
  std::string Bold(const std::string& text) const { return With("1", text); }

 private:
  std::string With(const char* code, const std::string& text) const;
  bool colours_;
};

// "error: MESSAGE" on standard error, after what standard output still holds back.
void PrintError(const std::string& message);

// "8 s", "3 min 05 s", "2 h 14 min".
std::string FormatWait(absl::Duration duration);
// Three significant digits: "0.123", "-4.5", "1.2e+06".
std::string FormatFigure(double value);
// "12.5 %".
std::string FormatRate(double share);

// Rows of cells in aligned columns, two spaces between them, each line indented by `indent`.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows, int indent = 0);

}  // namespace rein::cli
