#include "cli/pace.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/terminal.h"

namespace rein::cli {
namespace {

constexpr double kPerMinute = 60, kPerHour = 3600;

std::string In(double value, const char* unit) {
  return absl::StrFormat("%.*f %s", value < 9.95 ? 1 : 0, value, unit);
}

}  // namespace

std::string FormatPace(double per_second) {
  if (per_second >= 1) return In(per_second, "a second");
  if (per_second * kPerMinute >= 1) return In(per_second * kPerMinute, "a minute");
  return In(per_second * kPerHour, "an hour");
}

Pace::Pace(int64_t first, Clock clock) : first_(first), clock_(std::move(clock)), start_(clock_()) {}

std::string Pace::Text(int64_t done, int64_t all) const {
  const absl::Duration passed = clock_() - start_;
  if (done <= first_ || done >= all || passed <= absl::ZeroDuration()) return "";
  const auto counted = static_cast<double>(done - first_);
  const absl::Duration left = passed / counted * static_cast<double>(all - done);
  return absl::StrCat(FormatPace(counted / absl::ToDoubleSeconds(passed)), ", ",
                      FormatWait(absl::Ceil(left, absl::Seconds(1))), " left");
}

}  // namespace rein::cli
