// Bytes as a safetensors file: read, they give tensors that cover the file, or an error; what is written of
// them reads as the same. An input that begins with 'h' is a header and, after a zero byte, the data: the
// header's length is put before it. Every other input is the whole file.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/test_folder.h"
#include "models/safetensors.h"

namespace rein::models {
namespace {

void Require(bool holds, absl::string_view what) {
  if (holds) return;
  std::cerr << "fails: " << what << "\n";
  std::abort();
}

std::string FileOf(absl::string_view input) {
  if (input.empty() || input[0] != 'h') return std::string(input);
  const size_t zero = input.find('\0');
  const absl::string_view header = input.substr(0, zero).substr(1);
  const absl::string_view data = zero == absl::string_view::npos ? "" : input.substr(zero + 1);
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof(length));
  absl::StrAppend(&file, header, data);
  return file;
}

absl::string_view BytesOf(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()};
}

void CheckRoundTrip(const NamedTensors& tensors, const SafetensorsMetadata& metadata,
                    const std::filesystem::path& path) {
  Require(WriteSafetensors(path, tensors, metadata).ok(), "what was read is written");
  SafetensorsMetadata metadata_again;
  const auto again = ReadSafetensors(path, &metadata_again);
  Require(again.ok(), "what was written is read");
  Require(again->size() == tensors.size() && metadata_again == metadata, "as much is read as was written");
  std::map<std::string, at::Tensor> by_name(tensors.begin(), tensors.end());
  for (const auto& [name, tensor] : *again) {
    const auto before = by_name.find(name);
    Require(before != by_name.end() && before->second.sizes() == tensor.sizes() &&
                before->second.scalar_type() == tensor.scalar_type() &&
                BytesOf(before->second) == BytesOf(tensor),
            "a tensor is read as it was written");
  }
}

void Run(absl::string_view input) {
  static const TestFolder folder;
  const std::string bytes = FileOf(input);
  const std::filesystem::path file = folder.Write("model.safetensors", bytes);
  SafetensorsMetadata metadata;
  const auto tensors = ReadSafetensors(file, &metadata);
  if (!tensors.ok()) return;
  uint64_t data_bytes = 0;
  for (const auto& [name, tensor] : *tensors) data_bytes += tensor.nbytes();
  Require(data_bytes + sizeof(uint64_t) <= bytes.size(), "tensors lie in the file");
  CheckRoundTrip(*tensors, metadata, folder.path() / "again.safetensors");
}

}  // namespace
}  // namespace rein::models

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  rein::models::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
