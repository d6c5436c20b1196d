// Logging: spdlog with one line format for every process. Severity by REIN_LOG=trace|debug|info|warn|error.
#pragma once

#include "base/log_line.h"
#include "spdlog/spdlog.h"
