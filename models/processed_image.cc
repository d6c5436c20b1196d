#include "models/processed_image.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

namespace rein::models {
namespace {

constexpr int64_t kGrain = 1 << 16;  // numbers that are worth a thread

// Rows hold the three channels one behind the other.
int64_t PlaneOf(const at::Tensor& pixels) { return pixels[0].numel() / 3; }

bool AreLevels(const ProcessedImage& image) { return image.pixels.scalar_type() == at::kByte; }

void Check(absl::Span<const ProcessedImage> images) {
  TORCH_CHECK(!images.empty(), "no picture");
  const at::Tensor& first = images[0].pixels;
  for (const ProcessedImage& image : images) {
    const at::Tensor& pixels = image.pixels;
    TORCH_CHECK(pixels.sizes().slice(1) == first.sizes().slice(1), "pixels of shape ", pixels.sizes(),
                " beside ", first.sizes(), "; all sizes but the first must agree");
    if (!AreLevels(image)) continue;
    TORCH_CHECK(image.tables.sizes() == at::IntArrayRef({3, 256}), "tables of shape ", image.tables.sizes(),
                "; [3, 256] is needed");
    TORCH_CHECK(pixels.numel() > 0 && pixels[0].numel() % 3 == 0, "pixels of shape ", pixels.sizes(),
                "; three channels are needed");
  }
}

// Of one image processor, or numbers all.
bool AreAlike(absl::Span<const ProcessedImage> images) {
  return std::all_of(images.begin(), images.end(), [&](const ProcessedImage& image) {
    return AreLevels(image) == AreLevels(images[0]) && image.tables.is_same(images[0].tables);
  });
}

// `planes` of `plane` levels each; red, green and blue take turns.
void LookUpPlanes(const uint8_t* levels, int64_t planes, int64_t plane, const float* tables, float* numbers) {
  at::parallel_for(0, planes, std::max<int64_t>(1, kGrain / plane), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const float* table = tables + p % 3 * 256;
      for (int64_t i = p * plane; i < (p + 1) * plane; ++i) numbers[i] = table[levels[i]];
    }
  });
}

at::Tensor NumbersOnCpu(absl::Span<const ProcessedImage> images) {
  std::vector<int64_t> sizes = images[0].pixels.sizes().vec();
  sizes[0] = 0;
  for (const ProcessedImage& image : images) sizes[0] += image.pixels.size(0);
  at::Tensor numbers = at::empty(sizes, at::kFloat);
  const int64_t plane = PlaneOf(numbers);
  const at::Tensor tables = images[0].tables.contiguous();
  float* cursor = numbers.data_ptr<float>();
  for (const ProcessedImage& image : images) {
    const at::Tensor levels = image.pixels.contiguous();
    LookUpPlanes(levels.const_data_ptr<uint8_t>(), 3 * levels.size(0), plane, tables.const_data_ptr<float>(),
                 cursor);
    cursor += levels.numel();
  }
  return numbers;
}

}  // namespace

at::Tensor LookUp(const at::Tensor& levels, const at::Tensor& tables) {
  const at::Tensor planes = levels.contiguous().view({levels.size(0), 3, PlaneOf(levels)});
  const at::Tensor here = tables.to(levels.device());
  at::Tensor numbers = at::empty(planes.sizes(), planes.options().dtype(at::kFloat));
  for (int64_t c = 0; c < 3; ++c) {
    const at::Tensor indices = planes.select(1, c).to(at::kInt).flatten();
    numbers.select(1, c).copy_(here[c].index_select(0, indices).view({levels.size(0), -1}));
  }
  return numbers.view(levels.sizes());
}

at::Tensor Numbers(absl::Span<const ProcessedImage> images, at::Device device) {
  Check(images);
  std::vector<at::Tensor> pictures;
  if (!AreAlike(images)) {
    for (const ProcessedImage& image : images) pictures.push_back(Numbers({image}, device));
    return at::cat(pictures);
  }
  if (AreLevels(images[0]) && device.is_cpu()) return NumbersOnCpu(images);
  for (const ProcessedImage& image : images) pictures.push_back(image.pixels);
  const at::Tensor all = at::cat(pictures).to(device);
  return AreLevels(images[0]) ? LookUp(all, images[0].tables) : all;
}

}  // namespace rein::models
