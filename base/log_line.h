// One line to the log, without spdlog's headers: LibTorch brings an fmt of its own, which must not meet
// spdlog's.
#pragma once

#include "absl/strings/string_view.h"

namespace rein {

void LogInfo(absl::string_view line);
void LogWarning(absl::string_view line);
void LogError(absl::string_view line);

}  // namespace rein
