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
  return absl::UnavailableError(absl::StrCat("the ", options_.name, " of epoch ", options_.epoch,
                                             " was aborted; join one of a new epoch"));
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

absl::StatusOr<std::vector<at::Tensor>> C10dGroup::AllGather(const at::Tensor& mine) {
  if (absl::Status usable = CheckUsable(); !usable.ok()) return usable;
  const std::string doing = "gathering from all ranks";
  try {
    std::vector<at::Tensor> input = {mine};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int i = 0; i < world(); ++i) outputs[0].push_back(at::empty_like(mine));
    const auto work = backend_->allgather(outputs, input);
    if (absl::Status status = Finish(*work, doing); !status.ok()) return status;
    return outputs[0];
  } catch (const std::exception& error) {
    return StatusOf(error, doing);
  }
}

absl::StatusOr<std::vector<int64_t>> C10dGroup::Gather(int64_t value) {
  const auto all = AllGather(at::full({1}, value, at::TensorOptions(at::kLong).device(device_)));
  if (!all.ok()) return all.status();
  std::vector<int64_t> values;
  for (const at::Tensor& one : *all) values.push_back(one.item<int64_t>());
  return values;
}

absl::StatusOr<std::vector<std::string>> C10dGroup::GatherBytes(absl::string_view bytes) {
  const auto sizes = Gather(static_cast<int64_t>(bytes.size()));
  if (!sizes.ok()) return sizes.status();
  const int64_t longest = *std::max_element(sizes->begin(), sizes->end());
  if (longest == 0) return std::vector<std::string>(sizes->size());
  at::Tensor padded = at::zeros({longest}, at::kByte);
  std::copy(bytes.begin(), bytes.end(), padded.data_ptr<uint8_t>());
  const auto all = AllGather(padded.to(device_));
  if (!all.ok()) return all.status();
  std::vector<std::string> gathered;
  for (size_t rank = 0; rank < all->size(); ++rank) {
    const at::Tensor host = (*all)[rank].cpu();
    gathered.emplace_back(reinterpret_cast<const char*>(host.const_data_ptr<uint8_t>()), (*sizes)[rank]);
  }
  return gathered;
}

absl::Status C10dGroup::Sum(const at::Tensor& tensor) {
  if (absl::Status usable = CheckUsable(); !usable.ok()) return usable;
  const std::string doing = "summing over all ranks";
  try {
    std::vector<at::Tensor> tensors = {tensor};
    return Finish(*backend_->allreduce(tensors), doing);
  } catch (const std::exception& error) {
    return StatusOf(error, doing);
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
