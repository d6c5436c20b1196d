// From a picture to the pixels of each family's image processor, decoded already or from JPEG bytes, on a
// folder given with --model (bench/peers/write_pictures.py makes one). Compare items_per_second: pictures.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "bench/inputs.h"
#include "bench/model_folder.h"
#include "data/image.h"
#include "models/clip/image_processor.h"
#include "models/image/idefics3_image_processor.h"
#include "models/image/llava_next_image_processor.h"
#include "models/image/qwen2_vl_image_processor.h"

namespace rein::bench {
namespace {

using Process = std::function<at::Tensor(const data::RgbImage&)>;

// Settings of released folders; bench/peers/preprocess.py has them, too.
constexpr char kClip[] = R"({"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}})";
constexpr char kLlavaNext[] =
    R"({"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336},
        "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]})";
constexpr char kQwen2Vl[] = "{}";
constexpr char kIdefics3[] = R"({"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}})";

template <typename Processor>
Process PixelsOf(absl::StatusOr<Processor> parsed) {
  return [processor = Require(std::move(parsed))](const data::RgbImage& image) {
    return models::Numbers({Require(processor.Process(image))});
  };
}

Process MakeProcess(const std::string& kind) {
  const auto fields = [](const char* settings) { return models::Json::parse(settings); };
  if (kind == "clip") return PixelsOf(models::ClipImageProcessor::Parse(models::Fields(fields(kClip), kind)));
  if (kind == "llava_next")
    return PixelsOf(
        models::LlavaNextImageProcessor::Parse(models::Fields(fields(kLlavaNext), kind), 14, 576));
  if (kind == "qwen2_vl")
    return PixelsOf(models::Qwen2VlImageProcessor::Parse(models::Fields(fields(kQwen2Vl), kind)));
  return PixelsOf(models::Idefics3ImageProcessor::Parse(models::Fields(fields(kIdefics3), kind), 64));
}

void Preprocess(benchmark::State& state, const std::string& kind, const std::string& size, bool decode) {
  const std::filesystem::path file = ModelFolder() / absl::StrCat(size, ".jpg");
  std::ifstream stream(file, std::ios::binary);
  const std::string jpeg{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (jpeg.empty())
    return state.SkipWithError("needs --model=FOLDER that bench/peers/write_pictures.py has written");
  const Process process = MakeProcess(kind);
  const data::RgbImage image = Require(data::DecodeImage(jpeg));
  at::Tensor pixels;
  for (auto _ : state) pixels = process(decode ? Require(data::DecodeImage(jpeg)) : image);
  state.SetItemsProcessed(state.iterations());
  state.counters["check_values"] = static_cast<double>(pixels.numel());
  state.counters["check_pixels"] = pixels.abs().to(at::kDouble).mean().item<double>();
}

int RegisterAll() {
  for (const std::string kind : {"clip", "llava_next", "qwen2_vl", "idefics3"}) {
    for (const std::string size : {"480x640", "1080x1920"}) {
      for (const bool decode : {false, true}) {
        benchmark::RegisterBenchmark(
            absl::StrCat("Preprocess/", kind, "/", size, decode ? "/jpeg" : "/rgb").c_str(),
            [=](benchmark::State& state) { Preprocess(state, kind, size, decode); })
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
    }
  }
  return 0;
}

[[maybe_unused]] const int registered = RegisterAll();

}  // namespace
}  // namespace rein::bench
