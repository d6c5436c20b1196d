// How a memory plan is told; declared in memory_plan.h.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/offline/memory_plan.h"
#include "cli/terminal.h"

namespace rein::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using nlohmann::json;

struct Unit {
  const char* name;
  int64_t bytes;
};
constexpr Unit kUnits[] = {{"TiB", int64_t{1} << 40},
                           {"GiB", int64_t{1} << 30},
                           {"MiB", int64_t{1} << 20},
                           {"KiB", int64_t{1} << 10}};

std::string Cell(int64_t bytes) { return bytes == 0 ? "-" : FormatBytes(bytes); }

std::string Count(int64_t elements) {
  if (elements == 0) return "-";
  if (elements >= 1000000) return absl::StrFormat("%.1f M", static_cast<double>(elements) / 1e6);
  return absl::StrCat(elements);
}

std::string ProcessTable(const MemoryPlan& plan) {
  Rows rows = {{"process", "device", "parameters", "trained", "weights", "gradients", "moments",
                "activations", "checkpointed", "kv cache", "sync", "reserve", "needs", "away"}};
  for (const ProcessMemory& process : plan.processes) {
    const training::ParameterMemory& parameters = process.parameters;
    // The setting in use is marked.
    const auto used = [&](int64_t bytes, bool in_use) {
      return bytes > 0 && in_use ? absl::StrCat(Cell(bytes), " *") : Cell(bytes);
    };
    rows.push_back({process.name, process.device, Count(parameters.parameters), Count(parameters.trained),
                    Cell(parameters.weights), Cell(parameters.gradients), Cell(parameters.optimizer),
                    used(process.activations.kept, !process.checkpointed),
                    used(process.activations.checkpointed, process.checkpointed), Cell(process.kv_cache),
                    Cell(process.sync), Cell(process.reserve), Cell(process.needs),
                    process.offload ? Cell(process.away) : "-"});
  }
  return FormatTable(rows);
}

std::string DeviceTable(const MemoryPlan& plan) {
  Rows rows = {{"device", "needs", "there", ""}};
  for (const DeviceMemory& device : plan.devices) {
    std::string verdict = "not known";
    if (device.there) {
      const int64_t left = *device.there - device.needs;
      verdict = left >= 0 ? absl::StrCat(FormatBytes(left), " to spare")
                          : absl::StrCat(FormatBytes(-left), " too much");
    }
    rows.push_back(
        {device.device, FormatBytes(device.needs), device.there ? FormatBytes(*device.there) : "-", verdict});
  }
  return FormatTable(rows);
}

std::string AdviceText(const MemoryPlan& plan) {
  if (plan.advice.empty()) {
    return "no setting saves that much: put roles on other devices, or take smaller models";
  }
  return absl::StrCat("it fits with ", absl::StrJoin(plan.advice, ", "));
}

json ToJson(const ProcessMemory& process) {
  return {{"name", process.name},
          {"device", process.device},
          {"offload", process.offload},
          {"away_bytes", process.away},
          {"away_on_host_bytes", process.away_on_host},
          {"parameters", process.parameters.parameters},
          {"trained_parameters", process.parameters.trained},
          {"weights_bytes", process.parameters.weights},
          {"gradients_bytes", process.parameters.gradients},
          {"optimizer_bytes", process.parameters.optimizer},
          {"activations_bytes", process.activations.kept},
          {"checkpointed_activations_bytes", process.activations.checkpointed},
          {"checkpoint_activations", process.checkpointed},
          {"kv_cache_bytes", process.kv_cache},
          {"sync_bytes", process.sync},
          {"reserve_bytes", process.reserve},
          {"needs_bytes", process.needs},
          {"needs_of_host_bytes", process.needs_of_host}};
}

}  // namespace

std::string FormatBytes(int64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes < unit.bytes) continue;
    const double value = static_cast<double>(bytes) / static_cast<double>(unit.bytes);
    return absl::StrFormat("%.*f %s", value < 100 ? 1 : 0, value, unit.name);
  }
  return absl::StrCat(bytes, " B");
}

absl::StatusOr<int64_t> ParseBytes(const std::string& text) {
  std::string number(absl::StripAsciiWhitespace(text));
  int64_t factor = 1;
  for (const Unit& unit : kUnits) {
    if (!number.ends_with(unit.name)) continue;
    number.resize(number.size() - 3);
    factor = unit.bytes;
    break;
  }
  double value = 0;
  if (!absl::SimpleAtod(number, &value) || !(value > 0) || value * static_cast<double>(factor) > 9e18) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no amount of memory; write 80GiB, 512MiB or a number of bytes"));
  }
  return static_cast<int64_t>(std::llround(value * static_cast<double>(factor)));
}

std::string ToText(const MemoryPlan& plan) {
  std::string text = absl::StrCat(ProcessTable(plan), "\n", DeviceTable(plan));
  if (plan.fits() == false) absl::StrAppend(&text, "\n", AdviceText(plan), "\n");
  return text;
}

json ToJson(const MemoryPlan& plan) {
  json processes = json::array(), devices = json::array();
  for (const ProcessMemory& process : plan.processes) processes.push_back(ToJson(process));
  for (const DeviceMemory& device : plan.devices) {
    devices.push_back({{"device", device.device},
                       {"needs_bytes", device.needs},
                       {"there_bytes", device.there ? json(*device.there) : json()}});
  }
  const absl::Status verdict = Verdict(plan);
  return {{"fits", plan.fits() ? json(*plan.fits()) : json()},
          {"message", std::string(verdict.message())},
          {"advice", plan.advice},
          {"devices", devices},
          {"processes", processes}};
}

absl::Status Verdict(const MemoryPlan& plan) {
  std::vector<std::string> over, unknown;
  for (const DeviceMemory& device : plan.devices) {
    const std::string needs = absl::StrCat(device.device, " needs ", FormatBytes(device.needs));
    if (!device.there) {
      unknown.push_back(needs);
    } else if (device.needs > *device.there) {
      over.push_back(absl::StrCat(needs, " and has ", FormatBytes(*device.there), ", ",
                                  FormatBytes(device.needs - *device.there), " too much"));
    }
  }
  if (!over.empty()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("it does not fit: ", absl::StrJoin(over, "; "), "; ", AdviceText(plan)));
  }
  if (!unknown.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        absl::StrJoin(unknown, "; "),
        "; what is there is not known here: give the memory of one GPU, e.g. --device-memory 80GiB"));
  }
  return absl::OkStatus();
}

}  // namespace rein::cli
