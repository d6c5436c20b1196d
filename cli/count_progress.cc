#include "cli/count_progress.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace rein::cli {

CountProgressLine::CountProgressLine(std::ostream& out, bool terminal, std::string what, std::string things,
                                     int64_t first, Pace::Clock clock)
    : out_(out),
      terminal_(terminal),
      what_(std::move(what)),
      things_(std::move(things)),
      pace_(first, std::move(clock)) {}

std::string CountProgressLine::LineOf(int64_t done, int64_t all) const {
  const std::string pace = pace_.Text(done, all);
  return absl::StrCat(what_, " ", done, " of ", all, " ", things_, pace.empty() ? "" : ", ", pace);
}

void CountProgressLine::Show(int64_t done, int64_t all) {
  const int64_t tenths = all > 0 ? done * 10 / all : 10;
  if (terminal_) {
    out_ << "\r" << LineOf(done, all) << "\x1b[K" << (done == all ? "\n" : "");
  } else if (tenths > shown_tenths_) {
    out_ << LineOf(done, all) << "\n";
    shown_tenths_ = tenths;
  }
  out_.flush();
}

}  // namespace rein::cli
