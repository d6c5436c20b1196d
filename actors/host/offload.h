// Storages that leave the memory of their device while nobody needs them, and come back under the same
// tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rein::host {

// What a role can do without while it is idle.
struct Releasable {
  std::vector<at::Tensor> kept;     // comes back as it was
  std::vector<at::Tensor> scratch;  // comes back as zeros
  // `kept` never changes: it is written out once.
  bool constant = false;
};

// Storages of the CPU go to a file in `folder`, which has no name and so is gone with the process, whatever
// ends it; those of a GPU go to pinned memory of the host. Tensors stay the objects that they are, but must
// not be touched between PutAway and BringBack: their storages are empty then. All tensors on one storage,
// known or not, share its fate. One thread, but for bytes().
class Offload {
 public:
  // `folder` is there when PutAway is first called; not on a file system in memory.
  explicit Offload(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~Offload();
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  // Repeating it does nothing. Errors: RESOURCE_EXHAUSTED (no room where they would go), UNAVAILABLE (file):
  // nothing has moved then.
  absl::Status PutAway(const Releasable& releasable);
  // Without effect where nothing is away. Errors: RESOURCE_EXHAUSTED (no memory; what is away stays so and
  // may be brought back later), DATA_LOSS (the file cannot be read).
  absl::Status BringBack();

  // Bytes that are away; any thread.
  int64_t bytes() const { return bytes_; }

 private:
  struct Parked {
    c10::Storage storage;
    size_t size = 0;  // bytes
    bool scratch = false;
    int64_t offset = 0;  // in the file
    at::Tensor on_host;  // of a GPU's: uint8 [size]
  };
  std::vector<Parked> Plan(const Releasable& releasable) const;
  bool WrittenBefore(const std::vector<Parked>& plan) const;
  absl::Status OpenFile();
  absl::Status Copy(std::vector<Parked>& plan);
  absl::Status Return(Parked& parked) const;

  const std::filesystem::path folder_;
  int file_ = -1;
  std::vector<Parked> away_;
  // What is in the file, where that can be used again.
  std::vector<Parked> written_;
  std::atomic<int64_t> bytes_ = 0;
};

// A turn at loading: those who load onto one device and put it away again do so one after the other.
// Released when destroyed, or when the process ends.
class LoadTurn {
 public:
  // Waits for it. `folder`: what the processes that share devices share. Errors: UNAVAILABLE.
  static absl::StatusOr<LoadTurn> Await(const std::filesystem::path& folder, const std::string& device);
  LoadTurn(LoadTurn&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  LoadTurn& operator=(LoadTurn&&) = delete;
  ~LoadTurn();

 private:
  explicit LoadTurn(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace rein::host
