#include "cli/count_progress.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/terminal.h"

namespace rein::cli {

CountProgressLine::CountProgressLine(std::ostream& out, bool terminal, std::string what, std::string things,
                                     int64_t first, Clock clock)
    : out_(out),
      terminal_(terminal),
      what_(std::move(what)),
      things_(std::move(things)),
      first_(first),
      clock_(std::move(clock)),
      start_(clock_()) {}

std::string CountProgressLine::LineOf(int64_t done, int64_t all) const {
  std::string line = absl::StrCat(what_, " ", done, " of ", all, " ", things_);
  if (done > first_ && done < all) {
    const absl::Duration left = (clock_() - start_) / (done - first_) * (all - done);
    absl::StrAppend(&line, ", ", FormatWait(absl::Ceil(left, absl::Seconds(1))), " left");
  }
  return line;
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
