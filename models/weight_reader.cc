#include "models/weight_reader.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "models/dtype.h"
#include "models/finite.h"
#include "models/mapped_file.h"
#include "models/weight_mapping.h"

namespace rein::models {
namespace {

// Small enough for a core's cache, so that converting and checking cost no second trip to memory.
constexpr int64_t kChunkBytes = 128 << 10;
constexpr int64_t kChunksBetweenReports = 1024;
constexpr int64_t kChunksATurn = 8;  // a thread whose pages come slowly takes fewer turns
constexpr size_t kTensorsNamed = 3;

// Elements [first, first + count) of a tensor.
struct Chunk {
  size_t read;
  int64_t first, count;
};

// Values of one tensor that cannot be used.
struct Unusable {
  int64_t not_finite = 0;  // in the file
  int64_t too_large = 0;   // finite in the file, infinite in the model's dtype
};

int64_t ElementBytes(const WeightRead& read) {
  return static_cast<int64_t>(c10::elementSize(read.entry->dtype));
}

std::vector<Chunk> SplitIntoChunks(const std::vector<WeightRead>& reads) {
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < reads.size(); ++i) {
    const int64_t elements = reads[i].target.numel(), most = kChunkBytes / ElementBytes(reads[i]);
    for (int64_t first = 0; first < elements; first += most) {
      chunks.push_back({i, first, std::min(most, elements - first)});
    }
  }
  return chunks;
}

class Reading {
 public:
  explicit Reading(const std::vector<WeightRead>& reads)
      : reads_(reads), mapped_(MapWeights(reads)), unusable_(reads.size()) {}

  absl::Status Run(const LoadProgressFn& progress) {
    const std::vector<Chunk> chunks = SplitIntoChunks(reads_);
    int64_t done = 0, total = 0;
    for (const Chunk& chunk : chunks) total += BytesOf(chunk);
    const auto count = static_cast<int64_t>(chunks.size());
    for (int64_t begin = 0; begin < count; begin += kChunksBetweenReports) {
      const int64_t end = std::min(count, begin + kChunksBetweenReports);
      ReadInTurns(chunks, begin, end);
      REIN_RETURN_IF_ERROR(Verdict());
      for (int64_t i = begin; i < end; ++i) done += BytesOf(chunks[i]);
      if (progress) progress(done, total);
    }
    return absl::OkStatus();
  }

 private:
  int64_t BytesOf(const Chunk& chunk) const { return chunk.count * ElementBytes(reads_[chunk.read]); }

  void ReadInTurns(const std::vector<Chunk>& chunks, int64_t begin, int64_t end) {
    std::atomic<int64_t> next = begin;
    at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t /*from*/, int64_t /*to*/) {
      const std::unique_ptr<char[]> buffer(new char[kChunkBytes]);
      for (int64_t i = next.fetch_add(kChunksATurn); i < end; i = next.fetch_add(kChunksATurn)) {
        ReadChunks(chunks, i, std::min(end, i + kChunksATurn), buffer.get());
      }
    });
  }

  void ReadChunks(const std::vector<Chunk>& chunks, int64_t from, int64_t to, char* buffer) {
    for (int64_t i = from; i < to; ++i) {
      if (absl::Status status = ReadChunk(chunks[i], buffer); !status.ok()) {
        const absl::MutexLock lock(&mutex_);
        failed_.Update(status);
        return;
      }
    }
  }

  // Values land in the target itself where that is possible, or lie there already, else in `buffer` first.
  absl::Status ReadChunk(const Chunk& chunk, char* buffer) {
    const WeightRead& read = reads_[chunk.read];
    at::Tensor place = read.target.view({-1}).narrow(0, chunk.first, chunk.count);
    if (mapped_[chunk.read]) {
      Populate(place.const_data_ptr(), place.nbytes());
      Check(chunk.read, place, place);
      return absl::OkStatus();
    }
    const bool converts = place.scalar_type() != read.entry->dtype, direct = place.is_cpu() && !converts;
    at::Tensor values = direct ? place : at::from_blob(buffer, {chunk.count}, read.entry->dtype);
    const auto offset = static_cast<uint64_t>(chunk.first * ElementBytes(read));
    REIN_RETURN_IF_ERROR(
        read.file->Read(*read.entry, offset, static_cast<uint64_t>(BytesOf(chunk)), values.data_ptr()));
    const at::Tensor converted = Convert(values, place);
    Check(chunk.read, values, converted);
    if (!place.is_cpu()) place.copy_(converted);
    return absl::OkStatus();
  }

  // `values` in the dtype of `place`, on the CPU; in `place` itself where that is on the CPU.
  static at::Tensor Convert(const at::Tensor& values, at::Tensor& place) {
    if (values.scalar_type() == place.scalar_type()) return values;
    return place.is_cpu() ? place.copy_(values) : values.to(place.scalar_type());
  }

  void Check(size_t read, const at::Tensor& values, const at::Tensor& converted) {
    const int64_t unusable = CountNotFinite(converted);
    if (unusable == 0) return;
    const int64_t not_finite = CountNotFinite(values);
    const absl::MutexLock lock(&mutex_);
    unusable_[read].not_finite += not_finite;
    unusable_[read].too_large += unusable - not_finite;
    has_unusable_ = true;
  }

  absl::Status Verdict() const {
    const absl::MutexLock lock(&mutex_);
    REIN_RETURN_IF_ERROR(failed_);
    return has_unusable_ ? UnusableError() : absl::OkStatus();
  }

  std::string Describe(size_t read) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    const Unusable& unusable = unusable_[read];
    const WeightRead& of = reads_[read];
    const std::string start = absl::StrCat(of.file->path().string(), ": tensor ", of.entry->name, ": ");
    if (unusable.not_finite > 0) {
      return absl::StrCat(start, unusable.not_finite, " of ", of.target.numel(),
                          " values are NaN or infinite");
    }
    return absl::StrCat(start, unusable.too_large, " of ", of.target.numel(), " values are too large for ",
                        DtypeName(of.target.scalar_type()));
  }

  absl::Status UnusableError() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    std::string text;
    size_t tensors = 0;
    bool not_finite = false;
    for (size_t i = 0; i < reads_.size(); ++i) {
      if (unusable_[i].not_finite + unusable_[i].too_large == 0) continue;
      not_finite = not_finite || unusable_[i].not_finite > 0;
      if (++tensors <= kTensorsNamed) absl::StrAppend(&text, text.empty() ? "" : "; ", Describe(i));
    }
    if (tensors > kTensorsNamed) absl::StrAppend(&text, "; and ", tensors - kTensorsNamed, " more tensors");
    return absl::InvalidArgumentError(absl::StrCat(
        text, not_finite ? "; the training that wrote it diverged or the file is damaged, use an earlier "
                           "checkpoint or fetch the file again"
                         : "; load the model in bfloat16 or float32"));
  }

  const std::vector<WeightRead>& reads_;
  const std::vector<bool> mapped_;
  mutable absl::Mutex mutex_;
  std::vector<Unusable> unusable_ ABSL_GUARDED_BY(mutex_);
  bool has_unusable_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status ReadWeights(const std::vector<WeightRead>& reads, const LoadProgressFn& progress) {
  try {
    return Reading(reads).Run(progress);
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory to read weights: ", error.what()));
  }
}

}  // namespace rein::models
