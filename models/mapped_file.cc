#include "models/mapped_file.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>

#include "absl/base/const_init.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"

namespace rein::models {
namespace {

constexpr decltype(statfs::f_type) kZfsMagic = 0x2fc12fc1;

bool IsLocal(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) != 0) return false;
  switch (info.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case kZfsMagic:
      return true;
    default:
      return false;
  }
}

// What the signal handler knows of a mapped file. A region is in use while `end` is not 0.
struct Region {
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::array<char, 512> path{};
};

std::array<Region, 1024> regions;
absl::Mutex regions_mutex(absl::kConstInit);  // for those who change them
struct sigaction previous_action;

void WriteToStandardError(const char* text) {
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, text, std::strlen(text));
}

// Only names the file: the access is repeated, and the action of before decides what becomes of the process.
void OnBusError(int /*signal*/, siginfo_t* info, void* /*context*/) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const Region& region : regions) {
    if (address >= region.end.load(std::memory_order_acquire) || address < region.begin) continue;
    WriteToStandardError("error: ");
    WriteToStandardError(region.path.data());
    WriteToStandardError(
        ": cannot be read any more: it became shorter or its disk failed while its weights were in use; "
        "replace model "
        "files by renaming, never write into them\n");
  }
  sigaction(SIGBUS, &previous_action, nullptr);
}

void InstallHandler() {
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, &previous_action);
}

std::optional<size_t> AddRegion(const char* data, uint64_t size, const std::string& path) {
  static std::once_flag installed;
  std::call_once(installed, InstallHandler);
  const absl::MutexLock lock(&regions_mutex);
  const auto region =
      std::find_if(regions.begin(), regions.end(), [](const Region& it) { return it.end == 0; });
  if (region == regions.end()) return std::nullopt;
  region->path.fill('\0');
  std::copy_n(path.begin(), std::min(path.size(), region->path.size() - 1), region->path.begin());
  region->begin = reinterpret_cast<uintptr_t>(data);
  region->end.store(reinterpret_cast<uintptr_t>(data) + size, std::memory_order_release);
  return static_cast<size_t>(region - regions.begin());
}

void RemoveRegion(size_t region) {
  const absl::MutexLock lock(&regions_mutex);
  regions[region].end = 0;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Map(int fd, const std::filesystem::path& path) {
  if (!IsLocal(fd)) {
    return absl::UnimplementedError(
        absl::StrCat(path.string(), ": not mapped, it is not on a local file system"));
  }
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError(errno, "cannot stat", path);
  const auto size = static_cast<uint64_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    return absl::ResourceExhaustedError(absl::StrCat(path.string(), ": cannot be mapped"));
  const std::optional<size_t> region = AddRegion(static_cast<char*>(data), size, path.string());
  if (!region) {
    munmap(data, size);
    return absl::ResourceExhaustedError(absl::StrCat(path.string(), ": too many files are mapped already"));
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(static_cast<char*>(data), size, *region));
}

MappedFile::~MappedFile() {
  munmap(data_, size_);
  RemoveRegion(region_);
}

void Populate(const void* from, uint64_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(from) / page * page;
  madvise(reinterpret_cast<void*>(begin), reinterpret_cast<uintptr_t>(from) + bytes - begin,
          MADV_POPULATE_READ);
}

}  // namespace rein::models
