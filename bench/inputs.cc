#include "bench/inputs.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "data/base_model.h"
#include "data/scene_picture.h"

namespace rein::bench {

at::Tensor PatternMatrix(int64_t rows, int64_t columns, double scale) {
  at::Tensor matrix = at::empty({rows, columns});
  float* out = matrix.mutable_data_ptr<float>();
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) *out++ = static_cast<float>(scale * Pattern(i, j));
  }
  return matrix;
}

TemporaryFolder::TemporaryFolder() {
  static int count = 0;
  path_ = std::filesystem::temp_directory_path() / absl::StrCat("rein_bench_", getpid(), "_", count++);
  std::filesystem::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ScenesModel WriteScenesModel(const std::filesystem::path& folder) {
  const TemporaryFolder base;
  Require(data::WriteBaseModel("llava", 32, base.path() / "base"));
  auto model = Require(models::MakeRandomModel(base.path() / "base", /*seed=*/3));
  Require(models::SaveModel(*model, folder));
  return {Require(models::LoadModel(folder)), Require(models::Processor::Load(folder))};
}

std::string ScenePng(int size) {
  CounterRandom random(5);
  data::Scene scene;
  scene.shape = "circle";
  scene.colour = "red";
  scene.hazard = true;
  return Require(data::RenderScene(scene, size, random));
}

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "benchmark cannot run: %s\n", status.ToString().c_str());
  std::exit(1);
}

}  // namespace rein::bench
