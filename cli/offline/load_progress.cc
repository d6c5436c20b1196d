#include "cli/offline/load_progress.h"

#include <cstdio>
#include <iostream>
#include <memory>
#include <utility>

#include "cli/terminal.h"

namespace rein::cli {

LoadProgressLine::LoadProgressLine(std::ostream& out, bool terminal, std::filesystem::path folder,
                                   Clock clock)
    : out_(out),
      terminal_(terminal),
      folder_(std::move(folder)),
      clock_(std::move(clock)),
      start_(clock_()) {}

void LoadProgressLine::Show(int64_t done, int64_t total) {
  if (clock_() - start_ < absl::Seconds(1)) return;
  const int64_t tenths = total > 0 ? done * 10 / total : 10;
  const std::string text = "loading " + models::LoadProgressText(folder_, done, total);
  if (terminal_ && done < total) {
    out_ << "\r" << text << "\x1b[K";
    shown_ = true;
  } else if (terminal_ && shown_) {
    out_ << "\r\x1b[K";
  } else if (!terminal_ && tenths > shown_tenths_) {
    out_ << text << "\n";
    shown_tenths_ = tenths;
  }
  out_.flush();
}

models::LoadProgressFn ShowLoading(const std::filesystem::path& folder) {
  const auto line = std::make_shared<LoadProgressLine>(std::cerr, IsTerminal(stderr), folder);
  return [line](int64_t done, int64_t total) { line->Show(done, total); };
}

}  // namespace rein::cli
