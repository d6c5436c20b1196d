#include "models/weight_mapping.h"

#include <string>
#include <utility>
#include <vector>

#include "models/test_support.h"

namespace rein::models {
namespace {

constexpr int64_t kRows = 512, kColumns = 1024;  // 1 MiB of bfloat16

class MapWeightsTest : public testing::Test {
 protected:
  void SetUp() override {
    Store({{"probe", at::zeros({1})}});
    if (const absl::Status status = file_->Map().status(); absl::IsUnimplemented(status))
      GTEST_SKIP() << status;
  }

  // Opens a file of these tensors; they come in this order, as all are of one dtype.
  void Store(const NamedTensors& tensors) {
    ASSERT_TRUE(WriteSafetensors(path_, tensors).ok());
    auto opened = SafetensorsFile::Open(path_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    file_ = std::make_unique<SafetensorsFile>(*std::move(opened));
  }

  WeightRead ReadOf(const std::string& name, at::Tensor target) const {
    for (const SafetensorsEntry& entry : file_->entries()) {
      if (entry.name == name) return {file_.get(), &entry, std::move(target)};
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }

  const TestFolder folder_;
  const std::filesystem::path path_ = folder_ / "w.safetensors";
  std::unique_ptr<SafetensorsFile> file_;
};

at::Tensor Random(int64_t rows = kRows) { return at::randn({rows, kColumns}).to(at::kBFloat16); }
at::Tensor Empty(int64_t rows = kRows) { return at::empty({rows, kColumns}, at::kBFloat16); }

TEST_F(MapWeightsTest, LeavesNothingToReadOfATensorAsInTheFile) {
  const at::Tensor a = Random(), b = Random(700);
  Store({{"a", a}, {"b", b}});
  const at::Tensor mine = Empty(), another = mine.detach(), b_mine = Empty(700);
  EXPECT_EQ(MapWeights({ReadOf("b", b_mine), ReadOf("a", mine)}), std::vector<bool>({true, true}));
  EXPECT_TRUE(at::equal(mine, a));
  EXPECT_TRUE(at::equal(another, a)) << "a tensor on the same storage";
  EXPECT_TRUE(at::equal(b_mine, b));
}

TEST_F(MapWeightsTest, OutlivesFileAndName) {
  const at::Tensor a = Random();
  Store({{"a", a}});
  const at::Tensor mine = Empty();
  ASSERT_EQ(MapWeights({ReadOf("a", mine)}), std::vector<bool>({true}));
  file_.reset();
  std::filesystem::remove(path_);
  EXPECT_TRUE(at::equal(mine, a));
}

TEST_F(MapWeightsTest, KeepsWritesFromTheFile) {
  const at::Tensor a = Random();
  Store({{"a", a}});
  const at::Tensor mine = Empty();
  ASSERT_EQ(MapWeights({ReadOf("a", mine)}), std::vector<bool>({true}));
  at::Tensor(mine).add_(1);
  EXPECT_TRUE(at::equal(mine, a + 1));
  EXPECT_TRUE(at::equal((*ReadSafetensors(path_))[0].second, a));
}

TEST_F(MapWeightsTest, MapsPartsThatLieInTheFileAsInTheModel) {
  const at::Tensor values = Random();
  Store({{"gate", values.slice(0, 0, 200)}, {"up", values.slice(0, 200)}});
  const at::Tensor joined = Empty();
  EXPECT_EQ(MapWeights({ReadOf("up", joined.slice(0, 200)), ReadOf("gate", joined.slice(0, 0, 200))}),
            std::vector<bool>({true, true}));
  EXPECT_TRUE(at::equal(joined, values));
}

TEST_F(MapWeightsTest, LeavesPartsInAnotherOrderOrWithoutTheOthers) {
  const at::Tensor values = Random();
  Store({{"up", values.slice(0, 200)}, {"gate", values.slice(0, 0, 200)}});
  const at::Tensor joined = Empty();
  const std::vector<WeightRead> reads = {ReadOf("gate", joined.slice(0, 0, 200)),
                                         ReadOf("up", joined.slice(0, 200))};
  EXPECT_EQ(MapWeights(reads), std::vector<bool>({false, false}));
  EXPECT_EQ(MapWeights({reads[0]}), std::vector<bool>({false}));
  ASSERT_EQ(ReadWeights(reads, nullptr), absl::OkStatus());
  EXPECT_TRUE(at::equal(joined, values));
}

TEST_F(MapWeightsTest, LeavesOtherDtypesAndWhatIsSmall) {
  Store({{"a", Random()}, {"small", Random(kRows - 1)}});
  EXPECT_EQ(
      MapWeights({ReadOf("a", at::empty({kRows, kColumns}, at::kHalf)), ReadOf("small", Empty(kRows - 1))}),
      std::vector<bool>({false, false}));
}

TEST_F(MapWeightsTest, LeavesWhatTheFileLostSinceItWasOpened) {
  Store({{"a", Random()}});
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  EXPECT_EQ(MapWeights({ReadOf("a", Empty())}), std::vector<bool>({false}));
}

}  // namespace
}  // namespace rein::models
