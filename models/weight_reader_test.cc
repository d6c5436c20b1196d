#include "models/weight_reader.h"

#include <string>
#include <utility>
#include <vector>

#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

constexpr int64_t kSeveralChunks = 700'001;

// The tensors in a file, and targets of `dtype` for all of them.
struct Case {
  Case(const TestFolder& folder, const NamedTensors& tensors, at::ScalarType dtype)
      : path(folder / "w.safetensors") {
    EXPECT_TRUE(WriteSafetensors(path, tensors).ok());
    auto opened = SafetensorsFile::Open(path);
    EXPECT_TRUE(opened.ok()) << opened.status();
    file = std::make_unique<SafetensorsFile>(*std::move(opened));
    for (const SafetensorsEntry& entry : file->entries()) {
      reads.push_back({file.get(), &entry, at::empty(entry.shape, dtype)});
    }
  }

  absl::Status Read(const LoadProgressFn& progress = nullptr) const { return ReadWeights(reads, progress); }

  std::filesystem::path path;
  std::unique_ptr<SafetensorsFile> file;
  std::vector<WeightRead> reads;
};

TEST(ReadWeights, ConvertsEveryDtypeAcrossChunks) {
  const at::Tensor values = at::randn({kSeveralChunks});
  for (const at::ScalarType from : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const at::ScalarType to : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const TestFolder folder;
      const at::Tensor stored = values.to(from);
      const Case loaded(
          folder, {{"w", stored}, {"scalar", at::full({}, 2.5, from)}, {"none", stored.slice(0, 0, 0)}}, to);
      ASSERT_EQ(loaded.Read(), absl::OkStatus());
      for (const WeightRead& read : loaded.reads) {
        if (read.entry->name == "w") {
          EXPECT_TRUE(at::equal(read.target, stored.to(to))) << from << " " << to;
        } else if (read.entry->name == "scalar") {
          EXPECT_EQ(read.target.item<double>(), 2.5);
        }
      }
    }
  }
}

TEST(ReadWeights, TellsBytesOfTheFile) {
  const TestFolder folder;
  const Case loaded(folder,
                    {{"a", at::zeros({40'000'000}, at::kHalf)}, {"b", at::zeros({10'000'000}, at::kHalf)}},
                    at::kFloat);
  std::vector<std::pair<int64_t, int64_t>> told;
  ASSERT_EQ(loaded.Read([&](int64_t done, int64_t total) { told.emplace_back(done, total); }),
            absl::OkStatus());
  ASSERT_GE(told.size(), 1u);
  for (size_t i = 1; i < told.size(); ++i) EXPECT_LT(told[i - 1].first, told[i].first);
  for (const auto& [done, total] : told) EXPECT_EQ(total, 100'000'000);
  EXPECT_EQ(told.back().first, 100'000'000);
}

TEST(ReadWeights, NamesTensorFileAndNumberOfValuesThatAreNotFinite) {
  for (const at::ScalarType from : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const at::ScalarType to : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const TestFolder folder;
      at::Tensor bad = at::ones({kSeveralChunks}, from);
      bad[0] = std::nan("");
      bad[kSeveralChunks - 1] = -std::numeric_limits<double>::infinity();
      const Case loaded(folder, {{"good", at::ones({3}, from)}, {"bad", bad}}, to);
      const absl::Status status = loaded.Read();
      ExpectError(status, StatusCode::kInvalidArgument,
                  {loaded.path.string(), "tensor bad: 2 of 700001 values are NaN or infinite", "checkpoint"});
      EXPECT_THAT(std::string(status.message()), testing::Not(testing::HasSubstr("good")));
    }
  }
}

TEST(ReadWeights, NamesThreeTensorsAndCountsTheOthers) {
  const TestFolder folder;
  NamedTensors tensors;
  for (int i = 0; i < 5; ++i) tensors.emplace_back(absl::StrCat("t", i), at::full({2}, std::nan("")));
  ExpectError(Case(folder, tensors, at::kFloat).Read(), StatusCode::kInvalidArgument,
              {"tensor t0: 2 of 2", "tensor t1", "tensor t2", "and 2 more tensors"});
}

TEST(ReadWeights, NamesValuesThatFloat16CannotHold) {
  const TestFolder folder;
  const Case loaded(folder, {{"large", at::tensor({1e5, 1.0, -1e5, 65504.0})}}, at::kHalf);
  ExpectError(loaded.Read(), StatusCode::kInvalidArgument,
              {"tensor large: 2 of 4 values are too large for float16", "bfloat16"});
}

TEST(ReadWeights, NamesAFileThatBecameShorter) {
  const TestFolder folder;
  const Case loaded(folder, {{"w", at::ones({kSeveralChunks})}}, at::kBFloat16);
  std::filesystem::resize_file(loaded.path, std::filesystem::file_size(loaded.path) / 2);
  ExpectError(loaded.Read(), StatusCode::kInvalidArgument, {loaded.path.string(), "shorter"});
}

TEST(ReadWeights, ReadsTheFileThatWasOpenedWhenAnotherTakesItsName) {
  const TestFolder folder;
  const Case loaded(folder, {{"w", at::ones({10})}}, at::kFloat);
  Write(loaded.path, "another");
  ASSERT_EQ(loaded.Read(), absl::OkStatus());
  EXPECT_TRUE(at::equal(loaded.reads[0].target, at::ones({10})));
}

}  // namespace
}  // namespace rein::models
