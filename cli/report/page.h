// Parts of HTML pages that are complete in themselves: charts are inline, pictures are data URIs, nothing is
// loaded and no script runs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/report/chart.h"

namespace rein::report {

inline constexpr char kSyntheticLabel[] = "Synthetic data (scenes)";

struct PageHead {
  std::string title;
  bool synthetic = false;                                  // a badge says so
  std::vector<std::pair<std::string, std::string>> facts;  // name, value
};

// All text is escaped here; `body` and `footer` are HTML.
std::string Page(const PageHead& head, const std::string& body, const std::string& footer);

// A large number with its name above and what it is compared with below.
std::string Tile(const std::string& name, const std::string& value, const std::string& below);
std::string Tiles(const std::string& tiles);

// Empty where the body is.
std::string Section(const std::string& title, const std::string& body);

// Cells are HTML already; the first one heads the row.
std::string BodyRow(const std::vector<std::string>& cells);
// Empty where there are no rows. `kind`: "plain" does not stress the last column.
std::string Table(const std::string& rows, const std::vector<std::string>& head, const char* kind = "");

std::string Charts(const std::vector<Chart>& figures);

// Who answered what, and what is said of it. `safe`: coloured by it.
std::string AnswerBox(const std::string& who, const std::string& answer, const std::string& verdict,
                      std::optional<bool> safe);
// A question with its pictures (URIs) and answers (HTML).
std::string AnswerCard(const std::vector<std::string>& uris, const std::string& question,
                       const std::string& tag, const std::string& answers);
// `small`: pictures of a few pixels are shown as they are.
std::string CardGrid(const std::string& cards, bool small);

std::string Notes(const std::vector<std::string>& notes);

}  // namespace rein::report
