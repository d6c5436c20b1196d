#include "actors/host/offload.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/positional_io.h"
#include "base/status.h"

namespace rein::host {
namespace {

absl::Status WriteAt(int fd, const char* from, size_t size, int64_t offset,
                     const std::filesystem::path& folder) {
  if (WriteFully(fd, from, size, offset)) return absl::OkStatus();
  return SystemError(errno, "cannot put weights away in", folder);
}

absl::Status ReadAt(int fd, char* to, size_t size, int64_t offset, const std::filesystem::path& folder) {
  const ssize_t count = ReadFully(fd, to, size, offset);
  if (count == static_cast<ssize_t>(size)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("weights that were put away in ", folder.string(),
                   " cannot be read: ", count < 0 ? std::strerror(errno) : "the file ends early"));
}

// All bytes of a storage: uint8 [n].
at::Tensor BytesOf(const c10::Storage& storage) {
  at::Tensor bytes = at::empty({0}, at::TensorOptions(at::kByte).device(storage.device()));
  bytes.set_(storage, 0, {static_cast<int64_t>(storage.nbytes())}, {1});
  return bytes;
}

void Empty(c10::Storage& storage) {
  storage.set_data_ptr_noswap(at::DataPtr(nullptr, storage.device()));
  storage.set_nbytes(0);
}

}  // namespace

Offload::~Offload() {
  if (file_ >= 0) close(file_);
}

std::vector<Offload::Parked> Offload::Plan(const Releasable& releasable) const {
  std::vector<Parked> plan;
  std::unordered_set<const c10::StorageImpl*> seen;
  int64_t offset = 0;
  const auto add = [&](const at::Tensor& tensor, bool scratch) {
    const c10::Storage& storage = tensor.storage();
    if (storage.nbytes() == 0 || !seen.insert(storage.unsafeGetStorageImpl()).second) return;
    plan.push_back({.storage = storage, .size = storage.nbytes(), .scratch = scratch, .offset = offset});
    if (!scratch && storage.device().is_cpu()) offset += static_cast<int64_t>(storage.nbytes());
  };
  for (const at::Tensor& tensor : releasable.kept) add(tensor, false);
  for (const at::Tensor& tensor : releasable.scratch) add(tensor, true);
  return plan;
}

bool Offload::WrittenBefore(const std::vector<Parked>& plan) const {
  return std::equal(plan.begin(), plan.end(), written_.begin(), written_.end(),
                    [](const Parked& a, const Parked& b) {
                      return a.storage.unsafeGetStorageImpl() == b.storage.unsafeGetStorageImpl() &&
                             a.size == b.size && a.offset == b.offset;
                    });
}

absl::Status Offload::OpenFile() {
  if (file_ >= 0) return absl::OkStatus();
  std::string path = (folder_ / "offload-XXXXXX").string();
  file_ = mkostemp(path.data(), O_CLOEXEC);
  if (file_ < 0) return SystemError(errno, "cannot put weights away in", folder_);
  unlink(path.c_str());
  return absl::OkStatus();
}

absl::Status Offload::Copy(std::vector<Parked>& plan) {
  for (Parked& parked : plan) {
    if (parked.scratch) continue;
    const at::Tensor bytes = BytesOf(parked.storage);
    if (bytes.is_cpu()) {
      REIN_RETURN_IF_ERROR(OpenFile());
      REIN_RETURN_IF_ERROR(WriteAt(file_, reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()),
                                   parked.size, parked.offset, folder_));
      continue;
    }
    parked.on_host = at::empty({bytes.numel()}, at::TensorOptions(at::kByte).pinned_memory(true));
    parked.on_host.copy_(bytes);
  }
  return absl::OkStatus();
}

absl::Status Offload::PutAway(const Releasable& releasable) {
  if (!away_.empty()) return absl::OkStatus();
  std::vector<Parked> plan = Plan(releasable);
  const at::NoGradGuard no_grad;
  if (releasable.constant && WrittenBefore(plan)) {
    plan = written_;
  } else {
    // Whatever is written now takes the place of what was.
    written_.clear();
    try {
      REIN_RETURN_IF_ERROR(Copy(plan));
    } catch (const std::exception& error) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory to put weights away: ", error.what()));
    }
    if (releasable.constant) written_ = plan;
  }
  int64_t bytes = 0;
  bool device = false;
  for (Parked& parked : plan) {
    Empty(parked.storage);
    bytes += static_cast<int64_t>(parked.size);
    device = device || !parked.storage.device().is_cpu();
  }
  away_ = std::move(plan);
  bytes_ = bytes;
  // Freed is not yet given back.
  malloc_trim(0);
  if (device) at::getDeviceAllocator(away_.front().storage.device_type())->emptyCache();
  return absl::OkStatus();
}

absl::Status Offload::Return(Parked& parked) const {
  const at::Device device = parked.storage.device();
  const c10::DeviceGuard guard(device);
  at::DataPtr memory = c10::GetAllocator(device.type())->allocate(parked.size);
  if (device.is_cpu()) {
    auto* target = static_cast<char*>(memory.get());
    if (parked.scratch) {
      std::memset(target, 0, parked.size);
    } else {
      REIN_RETURN_IF_ERROR(ReadAt(file_, target, parked.size, parked.offset, folder_));
    }
  }
  parked.storage.set_data_ptr_noswap(std::move(memory));
  parked.storage.set_nbytes(parked.size);
  if (device.is_cpu()) return absl::OkStatus();
  at::Tensor bytes = BytesOf(parked.storage);
  if (parked.scratch) {
    bytes.zero_();
  } else {
    bytes.copy_(parked.on_host);
  }
  return absl::OkStatus();
}

absl::Status Offload::BringBack() {
  const at::NoGradGuard no_grad;
  while (!away_.empty()) {
    try {
      REIN_RETURN_IF_ERROR(Return(away_.back()));
    } catch (const std::exception& error) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory to bring weights back: ", error.what()));
    }
    bytes_ -= static_cast<int64_t>(away_.back().size);
    away_.pop_back();
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadTurn> LoadTurn::Await(const std::filesystem::path& folder, const std::string& device) {
  const std::filesystem::path file =
      folder / absl::StrCat("loading-", absl::StrReplaceAll(device, {{":", "-"}, {"/", "-"}}), ".lock");
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError(errno, "cannot open", file);
  LoadTurn turn(fd);
  while (flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return SystemError(errno, "cannot lock", file);
  }
  return turn;
}

LoadTurn::~LoadTurn() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace rein::host
