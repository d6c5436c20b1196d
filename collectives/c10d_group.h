// What groups over c10d have in common. Only for the .cc files of this folder: sees LibTorch's distributed
// headers.
#pragma once

#include <ATen/ATen.h>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "collectives/weight_group.h"

namespace rein::collectives {

// UNAVAILABLE or DEADLINE_EXCEEDED, from what c10d and its backends throw: "`doing`: reason".
absl::Status StatusOf(const std::exception& error, const std::string& doing);

std::chrono::milliseconds Milliseconds(absl::Duration duration);

class C10dGroup : public WeightGroup {
 public:
  C10dGroup(const GroupOptions& options, c10::intrusive_ptr<c10d::Backend> backend, at::Device device)
      : backend_(std::move(backend)), options_(options), device_(device) {}

  int rank() const override { return options_.rank; }
  int world() const override { return options_.world; }
  at::Device device() const override { return device_; }
  absl::StatusOr<std::unique_ptr<Transfer>> Broadcast(const at::Tensor& tensor) override;
  absl::StatusOr<std::vector<int64_t>> Gather(int64_t value) override;
  absl::StatusOr<std::vector<std::string>> GatherBytes(absl::string_view bytes) override;
  absl::Status Sum(const at::Tensor& tensor) override;
  void Abort() override;

  // Blocks until the operation has ended. Errors: as Transfer::Wait.
  absl::Status Finish(c10d::Work& work, const std::string& doing);

 protected:
  // Returns when the operation has succeeded, throws otherwise; blocks at most for about the timeout.
  virtual void Await(c10d::Work& work) = 0;
  // Breaks the connections, so that operations in flight end. Any thread.
  virtual void Cut() = 0;

  const GroupOptions& options() const { return options_; }
  bool aborted() const { return aborted_; }

  c10::intrusive_ptr<c10d::Backend> backend_;

 private:
  absl::Status CheckUsable() const;
  // One tensor like `mine` of each rank, by rank.
  absl::StatusOr<std::vector<at::Tensor>> AllGather(const at::Tensor& mine);

  const GroupOptions options_;
  const at::Device device_;
  std::atomic<bool> aborted_ = false;
};

// One for each backend; they throw where they cannot join.
std::unique_ptr<WeightGroup> JoinGloo(const GroupOptions& options, c10::intrusive_ptr<c10d::Store> store);
#ifdef REIN_CUDA
std::unique_ptr<WeightGroup> JoinNccl(const GroupOptions& options, c10::intrusive_ptr<c10d::Store> store);
#endif

}  // namespace rein::collectives
