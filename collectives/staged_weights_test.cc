#include "collectives/staged_weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collectives/weight_stream.h"

namespace rein::collectives {
namespace {

using testing::HasSubstr;

constexpr Version kVersion{3, 1};

TEST(Fingerprint, ChangesWithAnyFlippedByte) {
  const at::Tensor tensor = at::arange(37, at::kByte);
  const uint64_t before = Fingerprint("w", tensor);
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    at::Tensor changed = tensor.clone();
    changed[i] = changed[i].bitwise_xor(1 << (i % 8));
    EXPECT_NE(Fingerprint("w", changed), before) << i;
  }
}

TEST(Fingerprint, SeesSwappedRowsAndFlippedSigns) {
  const at::Tensor tensor = at::arange(1, 65, at::kFloat).reshape({8, 8});
  const uint64_t before = Fingerprint("w", tensor);
  EXPECT_NE(Fingerprint("w", tensor.flip(0)), before);
  EXPECT_NE(Fingerprint("w", tensor.neg()), before);
  EXPECT_NE(Fingerprint("v", tensor), before);
}

TEST(Fingerprint, IsAddedOverTensorsInAnyOrder) {
  const at::Tensor a = at::ones({3}), b = at::ones({4, 2});
  EXPECT_EQ(Fingerprint({{"a", a}, {"b", b}}), Fingerprint("a", a) + Fingerprint("b", b));
  EXPECT_EQ(Fingerprint({{"a", a}, {"b", b}}), Fingerprint({{"b", b}, {"a", a}}));
  EXPECT_NE(Fingerprint({{"a", a}, {"b", a}}), Fingerprint({{"a", b}, {"b", b}}));
}

TEST(Fingerprint, FollowsTheElementsNotTheStrides) {
  const at::Tensor tensor = at::arange(20, at::kFloat).reshape({4, 5});
  EXPECT_EQ(Fingerprint("w", tensor.t().contiguous().t()), Fingerprint("w", tensor));
}

TEST(Fingerprint, IsTheSameForAnyThreadCount) {
  const at::Tensor tensor = at::arange(1 << 20, at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const uint64_t one = Fingerprint("w", tensor);
  at::set_num_threads(2);
  EXPECT_EQ(Fingerprint("w", tensor), one);
  at::set_num_threads(threads);
}

NamedTensors Tensors(float value) {
  return {{"b", at::full({5, 33}, value)},
          {"a", at::full({7}, value, at::kBFloat16)},
          {"c", at::full({}, value)}};
}

TEST(WeightStream, BringsWeightsInChunksOfAnySize) {
  for (const int64_t chunk_bytes : {1, 64, 100, 1 << 20}) {
    auto writer = WeightStreamWriter::Make(Tensors(2), chunk_bytes);
    ASSERT_TRUE(writer.ok()) << writer.status();
    const NamedTensors model = Tensors(0);
    auto staged = StagedWeights::For(model);
    WeightStreamReader reader(&*staged);
    ASSERT_TRUE(reader.Begin(writer->manifest()).ok());
    std::string chunk;
    while (writer->Next(&chunk)) {
      ASSERT_TRUE(reader.Add(chunk.substr(0, 3)).ok());
      ASSERT_TRUE(reader.Add(chunk.substr(3)).ok());
    }
    const auto fingerprint = reader.Finish(kVersion);
    ASSERT_TRUE(fingerprint.ok()) << fingerprint.status();
    EXPECT_EQ(*fingerprint, writer->fingerprint());
    EXPECT_EQ(*fingerprint, Fingerprint(Tensors(2)));
    ASSERT_TRUE(staged->Apply(kVersion).ok());
    EXPECT_EQ(Fingerprint(model), Fingerprint(Tensors(2)));
  }
}

TEST(WeightStream, FingerprintTellsAChangedByte) {
  auto writer = WeightStreamWriter::Make(Tensors(2));
  auto staged = StagedWeights::For(Tensors(0));
  WeightStreamReader reader(&*staged);
  ASSERT_TRUE(reader.Begin(writer->manifest()).ok());
  std::string chunk;
  ASSERT_TRUE(writer->Next(&chunk));
  chunk[70] ^= 1;
  ASSERT_TRUE(reader.Add(chunk).ok());
  EXPECT_NE(*reader.Finish(kVersion), writer->fingerprint());
}

TEST(WeightStream, RefusesATruncatedOrOverlongStream) {
  auto writer = WeightStreamWriter::Make(Tensors(2));
  auto staged = StagedWeights::For(Tensors(0));
  WeightStreamReader reader(&*staged);
  EXPECT_EQ(reader.Add("x").code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(reader.Begin(writer->manifest()).ok());
  std::string chunk;
  ASSERT_TRUE(writer->Next(&chunk));
  ASSERT_TRUE(reader.Add(chunk.substr(1)).ok());
  EXPECT_EQ(reader.Finish(kVersion).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(staged->staged());
  EXPECT_EQ(reader.Add("xy").code(), absl::StatusCode::kDataLoss);
}

TEST(WeightStream, NamesTensorsThatDiffer) {
  auto staged = StagedWeights::For(Tensors(0));
  WeightStreamReader reader(&*staged);
  const auto message = [&](const std::vector<TensorInfo>& manifest) {
    const absl::Status status = reader.Begin(manifest);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return std::string(status.message());
  };
  EXPECT_THAT(message({{"a", "BF16", {7}}, {"c", "F32", {}}}), HasSubstr("missing b F32 [5, 33]"));
  EXPECT_THAT(message({{"a", "F32", {7}}, {"b", "F32", {5, 33}}, {"c", "F32", {}}}),
              HasSubstr("a F32 [7] instead of a BF16 [7]"));
  EXPECT_THAT(message({{"a", "BF16", {7}}, {"b", "F32", {5, 33}}, {"c", "F32", {}}, {"d", "F32", {1}}}),
              HasSubstr("unexpected d F32 [1]"));
  EXPECT_THAT(message({{"w", "F32", {}}, {"x", "F32", {}}}), HasSubstr("and 2 more"));
}

}  // namespace
}  // namespace rein::collectives
