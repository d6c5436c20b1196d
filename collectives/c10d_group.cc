#include "collectives/c10d_group.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace rein::collectives {
namespace {

// LibTorch's flight recorder notes every operation in a table that all groups of a process share, and enters
// new groups there without a lock: two groups that begin at once crash. Nothing here reads it. Set before
// main, while there is one thread.
const bool kNoFlightRecorder = setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1) == 0;

class C10dTransfer : public Transfer {
 public:
  C10dTransfer(C10dGroup* group, c10::intrusive_ptr<c10d::Work> work)
      : group_(group), work_(std::move(work)) {}
  absl::Status Wait() override { return group_->Finish(*work_, "sending weights"); }

 private:
  C10dGroup* group_;
  c10::intrusive_ptr<c10d::Work> work_;
};

// The first line: LibTorch adds the stack.
std::string Reason(const std::exception& error) {
  const auto* ours = dynamic_cast<const c10::Error*>(&error);
  const std::string text = ours != nullptr ? ours->what_without_backtrace() : error.what();
  return text.substr(0, std::min<size_t>(text.find('\n'), 300));
}

}  // namespace

absl::Status StatusOf(const std::exception& error, const std::string& doing) {
  const std::string reason = Reason(error), lower = absl::AsciiStrToLower(reason);
  const std::string message = absl::StrCat(doing, ": ", reason);
  for (const char* sign : {"timed out", "timeout"}) {
    if (absl::StrContains(lower, sign)) return absl::DeadlineExceededError(message);
  }
  return absl::UnavailableError(message);
}

std::chrono::milliseconds Milliseconds(absl::Duration duration) {
  return std::chrono::milliseconds(std::max<int64_t>(1, absl::ToInt64Milliseconds(duration)));
}

absl::Status C10dGroup::CheckUsable() const {
  if (!aborted_) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the weight group of epoch ", options_.epoch, " was aborted; join one of a new epoch"));
}

absl::StatusOr<std::unique_ptr<Transfer>> C10dGroup::Broadcast(const at::Tensor& tensor) {
  if (absl::Status usable = CheckUsable(); !usable.ok()) return usable;
  try {
    std::vector<at::Tensor> tensors = {tensor};
    return std::unique_ptr<Transfer>(new C10dTransfer(this, backend_->broadcast(tensors)));
  } catch (const std::exception& error) {
    return StatusOf(error, "sending weights");
  }
}

absl::StatusOr<std::vector<int64_t>> C10dGroup::Gather(int64_t value) {
  if (absl::Status usable = CheckUsable(); !usable.ok()) return usable;
  try {
    std::vector<at::Tensor> input = {at::full({1}, value, at::TensorOptions(at::kLong).device(device_))};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int i = 0; i < world(); ++i) outputs[0].push_back(at::empty_like(input[0]));
    const auto work = backend_->allgather(outputs, input);
    if (absl::Status status = Finish(*work, "agreeing on weights"); !status.ok()) return status;
    std::vector<int64_t> values;
    for (const at::Tensor& output : outputs[0]) values.push_back(output.item<int64_t>());
    return values;
  } catch (const std::exception& error) {
    return StatusOf(error, "agreeing on weights");
  }
}

absl::Status C10dGroup::Finish(c10d::Work& work, const std::string& doing) {
  try {
    Await(work);
    return absl::OkStatus();
  } catch (const std::exception& error) {
    if (absl::Status usable = CheckUsable(); !usable.ok()) return usable;
    return StatusOf(error, doing);
  }
}

void C10dGroup::Abort() {
  if (!aborted_.exchange(true)) Cut();
}

}  // namespace rein::collectives
