#include "collectives/staged_weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/hash.h"

namespace rein::collectives {
namespace {

// Every tensor begins at a multiple of this: aligned for any dtype, and never a word of two tensors.
constexpr int64_t kAlignment = 64;
constexpr int64_t kWord = 8;
// Words that one thread hashes at a time.
constexpr int64_t kGrain = 1 << 16;
constexpr size_t kMaxDifferences = 3;

int64_t RoundUp(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct DtypeName {
  at::ScalarType dtype;
  const char* name;
};
constexpr DtypeName kDtypes[] = {{at::kFloat, "F32"},  {at::kBFloat16, "BF16"}, {at::kHalf, "F16"},
                                 {at::kDouble, "F64"}, {at::kLong, "I64"},      {at::kInt, "I32"},
                                 {at::kByte, "U8"}};

absl::StatusOr<std::string> NameOf(at::ScalarType dtype) {
  for (const DtypeName& known : kDtypes) {
    if (known.dtype == dtype) return std::string(known.name);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "cannot send ", at::toString(dtype), " tensors; allowed: ",
      absl::StrJoin(kDtypes, ", ", [](std::string* out, const auto& d) { absl::StrAppend(out, d.name); })));
}

uint64_t KeyOf(const std::string& name) {
  uint64_t key = name.size();
  for (const char c : name) key = Mix64(key ^ static_cast<uint8_t>(c));
  return key;
}

// Sum over words of Mix64(word ^ position key). Mix64 is a bijection: a change of one word always changes the
// sum.
uint64_t HashWords(uint64_t key, int64_t first_word, const uint8_t* data, int64_t words) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < words; ++i) {
    uint64_t word;
    std::memcpy(&word, data + i * kWord, kWord);
    sum += Mix64(word ^ (key + static_cast<uint64_t>(first_word + i) * 0xd1342543de82ef95ull));
  }
  return sum;
}

// Part of a tensor's fingerprint: `size` bytes that stand at `offset`, a multiple of 8, of the tensor.
uint64_t HashBytes(uint64_t key, int64_t offset, const uint8_t* data, int64_t size) {
  const int64_t words = size / kWord, first_word = offset / kWord;
  uint64_t sum = at::parallel_reduce(
      0, words, kGrain, uint64_t{0},
      [&](int64_t begin, int64_t end, uint64_t part) {
        return part + HashWords(key, first_word + begin, data + begin * kWord, end - begin);
      },
      std::plus<uint64_t>());
  if (const int64_t rest = size % kWord; rest > 0) {
    uint8_t last[kWord] = {};
    std::memcpy(last, data + words * kWord, rest);
    sum += HashWords(key, first_word + words, last, 1);
  }
  return sum;
}

// uint8 [nbytes], row by row; the tensor's own memory where it is contiguous.
at::Tensor BytesOf(const at::Tensor& tensor) {
  return tensor.detach().contiguous().reshape({-1}).view(at::kByte);
}

std::string Describe(const TensorInfo& info) {
  return absl::StrCat(info.name, " ", info.dtype, " [", absl::StrJoin(info.shape, ", "), "]");
}

}  // namespace

uint64_t Fingerprint(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor bytes = BytesOf(tensor).cpu();
  return HashBytes(KeyOf(name), 0, bytes.const_data_ptr<uint8_t>(), bytes.numel());
}

uint64_t Fingerprint(const NamedTensors& tensors) {
  uint64_t sum = 0;
  for (const auto& [name, tensor] : tensors) sum += Fingerprint(name, tensor);
  return sum;
}

absl::StatusOr<FlatLayout> FlatLayout::Of(const NamedTensors& tensors) {
  FlatLayout layout;
  layout.tensors_ = tensors;
  std::sort(layout.tensors_.begin(), layout.tensors_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [name, tensor] : layout.tensors_) {
    if (name.empty() || !tensor.defined())
      return absl::InvalidArgumentError("a tensor to send has no name or no value");
    if (!layout.manifest_.empty() && layout.manifest_.back().name == name)
      return absl::InvalidArgumentError(absl::StrCat("two tensors to send are named ", name));
    auto dtype = NameOf(tensor.scalar_type());
    if (!dtype.ok()) return absl::InvalidArgumentError(absl::StrCat(name, ": ", dtype.status().message()));
    layout.manifest_.push_back({name, *std::move(dtype), tensor.sizes().vec()});
    layout.offsets_.push_back(layout.bytes_);
    layout.keys_.push_back(KeyOf(name));
    layout.bytes_ += RoundUp(static_cast<int64_t>(tensor.nbytes()));
  }
  return layout;
}

// Calls visit(tensor index, offset in the tensor, offset in the range, size) for every part of a tensor in
// the range.
template <typename Visit>
void FlatLayout::ForEachPart(int64_t begin, int64_t size, const Visit& visit) const {
  const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), begin);
  for (size_t i = after == offsets_.begin() ? 0 : std::distance(offsets_.begin(), after) - 1;
       i < offsets_.size(); ++i) {
    if (offsets_[i] >= begin + size) break;
    const int64_t from = std::max(begin, offsets_[i]);
    const int64_t to = std::min(begin + size, offsets_[i] + tensor_bytes(i));
    if (from < to) visit(i, from - offsets_[i], from - begin, to - from);
  }
}

void FlatLayout::Pack(int64_t begin, const at::Tensor& out) const {
  out.zero_();
  ForEachPart(begin, out.numel(), [&](size_t i, int64_t offset, int64_t at, int64_t size) {
    out.narrow(0, at, size).copy_(BytesOf(tensors_[i].second).narrow(0, offset, size));
  });
}

uint64_t FlatLayout::FingerprintOfLive(int64_t begin, int64_t size) const {
  uint64_t sum = 0;
  ForEachPart(begin, size, [&](size_t i, int64_t offset, int64_t, int64_t part) {
    const at::Tensor bytes = BytesOf(tensors_[i].second).narrow(0, offset, part).cpu();
    sum += HashBytes(keys_[i], offset, bytes.const_data_ptr<uint8_t>(), part);
  });
  return sum;
}

uint64_t FlatLayout::FingerprintOf(int64_t begin, const at::Tensor& data) const {
  const at::Tensor bytes = data.cpu();
  uint64_t sum = 0;
  ForEachPart(begin, bytes.numel(), [&](size_t i, int64_t offset, int64_t at, int64_t part) {
    sum += HashBytes(keys_[i], offset, bytes.const_data_ptr<uint8_t>() + at, part);
  });
  return sum;
}

absl::Status FlatLayout::Match(const std::vector<TensorInfo>& other) const {
  std::vector<TensorInfo> sorted = other;
  const auto by_name = [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; };
  std::sort(sorted.begin(), sorted.end(), by_name);
  if (sorted == manifest_) return absl::OkStatus();
  std::vector<std::string> differences;
  for (const TensorInfo& info : sorted) {
    const auto mine = std::lower_bound(manifest_.begin(), manifest_.end(), info, by_name);
    if (mine == manifest_.end() || mine->name != info.name) {
      differences.push_back(absl::StrCat("unexpected ", Describe(info)));
    } else if (*mine != info) {
      differences.push_back(absl::StrCat(Describe(info), " instead of ", Describe(*mine)));
    }
  }
  for (const TensorInfo& info : manifest_) {
    if (!std::binary_search(sorted.begin(), sorted.end(), info, by_name))
      differences.push_back(absl::StrCat("missing ", Describe(info)));
  }
  if (differences.empty()) differences.push_back("a tensor is named twice");
  const size_t count = differences.size();
  differences.resize(std::min(count, kMaxDifferences));
  return absl::FailedPreconditionError(
      absl::StrCat("the publisher's tensors are not this model's: ", absl::StrJoin(differences, "; "),
                   count > kMaxDifferences ? absl::StrCat("; and ", count - kMaxDifferences, " more") : "",
                   ". Both must be configured from the same model folder"));
}

absl::StatusOr<StagedWeights> StagedWeights::For(const NamedTensors& tensors) {
  auto layout = FlatLayout::Of(tensors);
  if (!layout.ok()) return layout.status();
  return StagedWeights(*std::move(layout));
}

at::Tensor StagedWeights::Begin(at::Device device) {
  staged_ = false;
  if (!buffer_.defined() || buffer_.device() != device)
    buffer_ = at::empty({layout_.bytes()}, at::TensorOptions(at::kByte).device(device));
  return buffer_;
}

void StagedWeights::Drop() {
  staged_ = false;
  buffer_.reset();
}

void StagedWeights::Finish(Version version, uint64_t fingerprint) {
  staged_ = true;
  version_ = version;
  fingerprint_ = fingerprint;
}

absl::Status StagedWeights::Apply(Version version) {
  if (!staged_ || version != version_) {
    return absl::FailedPreconditionError(
        absl::StrCat("weights version ", version.epoch, ".", version.number, " is not staged; ",
                     staged_ ? absl::StrCat("staged is ", version_.epoch, ".", version_.number)
                             : std::string("nothing is"),
                     ". Receive it first"));
  }
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < layout_.tensors().size(); ++i) {
    const at::Tensor& live = layout_.tensors()[i].second;
    const at::Tensor bytes = buffer_.narrow(0, layout_.offset(i), layout_.tensor_bytes(i));
    live.copy_(bytes.view(live.scalar_type()).view(live.sizes()));
  }
  return absl::OkStatus();
}

}  // namespace rein::collectives
