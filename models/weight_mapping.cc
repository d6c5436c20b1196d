#include "models/weight_mapping.h"

#include <ATen/ATen.h>

#include <memory>
#include <unordered_map>
#include <utility>

#include "models/mapped_file.h"

namespace rein::models {
namespace {

constexpr size_t kSmallestMapped = 1 << 20;  // below, a copy costs no more than the pages' faults

using Mapping = std::shared_ptr<const MappedFile>;

// A storage, and what of the files would fill it.
struct Storage {
  const SafetensorsFile* file = nullptr;
  int64_t file_offset = 0;  // of the storage's first byte
  size_t filled = 0;        // bytes
  bool as_in_file = true;
  std::vector<size_t> reads;
};

using Storages = std::unordered_map<c10::StorageImpl*, Storage>;

void AddRead(const WeightRead& read, size_t index, Storage& storage) {
  const at::Tensor& target = read.target;
  const int64_t first_byte = target.storage_offset() * static_cast<int64_t>(target.element_size());
  const int64_t file_offset = static_cast<int64_t>(read.file->OffsetOf(*read.entry)) - first_byte;
  if (storage.reads.empty()) {
    storage.file = read.file;
    storage.file_offset = file_offset;
  }
  storage.as_in_file = storage.as_in_file && target.is_cpu() && target.scalar_type() == read.entry->dtype &&
                       storage.file == read.file && storage.file_offset == file_offset &&
                       file_offset % static_cast<int64_t>(target.element_size()) == 0;
  storage.filled += target.nbytes();
  storage.reads.push_back(index);
}

Storages GroupByStorage(const std::vector<WeightRead>& reads) {
  Storages storages;
  for (size_t i = 0; i < reads.size(); ++i) {
    AddRead(reads[i], i, storages[reads[i].target.storage().unsafeGetStorageImpl()]);
  }
  return storages;
}

void PointInto(const Mapping& mapping, int64_t offset, c10::StorageImpl& storage) {
  auto owner = std::make_unique<Mapping>(mapping);
  void* context = owner.get();
  c10::DataPtr data(
      mapping->data() + offset, context, [](void* held) { delete static_cast<Mapping*>(held); }, at::kCPU);
  owner.release();
  storage.set_data_ptr_noswap(std::move(data));
}

}  // namespace

std::vector<bool> MapWeights(const std::vector<WeightRead>& reads) {
  std::vector<bool> mapped(reads.size(), false);
  std::unordered_map<const SafetensorsFile*, Mapping> mappings;  // null where a file cannot be mapped
  for (auto& [impl, storage] : GroupByStorage(reads)) {
    if (!storage.as_in_file || storage.filled != impl->nbytes() || storage.filled < kSmallestMapped) continue;
    const auto [found, is_new] = mappings.try_emplace(storage.file);
    if (is_new) found->second = storage.file->Map().value_or(nullptr);
    if (found->second == nullptr) continue;
    PointInto(found->second, storage.file_offset, *impl);
    for (const size_t read : storage.reads) mapped[read] = true;
  }
  return mapped;
}

}  // namespace rein::models
