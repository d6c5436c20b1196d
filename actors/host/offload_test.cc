#include "actors/host/offload.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/test_folder.h"

namespace rein::host {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMegabyte = 1 << 20;

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

size_t FilesIn(const std::filesystem::path& folder) {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

TEST(Offload, BringsEveryBitBackUnderTheSameTensors) {
  const TestFolder folder;
  const at::Tensor whole = at::rand({6, 5}), copy = whole.clone();
  const at::Tensor row = whole[2], half = at::rand({1000}).to(at::kBFloat16), half_copy = half.clone();
  const at::Tensor scratch = at::ones({40});
  Offload offload(folder.path());
  ASSERT_EQ(offload.PutAway({.kept = {whole, row, half}, .scratch = {scratch}}), absl::OkStatus());
  EXPECT_EQ(offload.bytes(), 6 * 5 * 4 + 1000 * 2 + 40 * 4) << "a storage counts once";
  for (const at::Tensor& tensor : {whole, row, half, scratch}) EXPECT_EQ(tensor.storage().nbytes(), 0u);
  EXPECT_EQ(FilesIn(folder.path()), 0u) << "the file has no name";
  ASSERT_EQ(offload.PutAway({.kept = {whole}}), absl::OkStatus());

  ASSERT_EQ(offload.BringBack(), absl::OkStatus());
  EXPECT_EQ(offload.bytes(), 0);
  EXPECT_TRUE(at::equal(whole, copy));
  EXPECT_TRUE(at::equal(row, copy[2]));
  EXPECT_EQ(row.storage().unsafeGetStorageImpl(), whole.storage().unsafeGetStorageImpl());
  EXPECT_TRUE(at::equal(half, half_copy));
  EXPECT_TRUE(at::equal(scratch, at::zeros({40})));
  ASSERT_EQ(offload.BringBack(), absl::OkStatus());
}

TEST(Offload, GivesTheMemoryBack) {
  const TestFolder folder;
  const at::Tensor large = at::ones({64 * kMegabyte / 4});
  // Many that come from the heap, not from the kernel one by one.
  std::vector<at::Tensor> small;
  for (int i = 0; i < 1024; ++i) small.push_back(at::ones({16 * 1024}));
  Offload offload(folder.path());
  const int64_t before = ResidentBytes();
  Releasable releasable{.kept = small};
  releasable.kept.push_back(large);
  ASSERT_EQ(offload.PutAway(releasable), absl::OkStatus());
  EXPECT_LT(ResidentBytes(), before - 110 * kMegabyte) << "of 128 MiB";
  ASSERT_EQ(offload.BringBack(), absl::OkStatus());
  EXPECT_EQ(large.sum().item<double>(), 64 * kMegabyte / 4);
  EXPECT_EQ(small[700].sum().item<double>(), 16 * 1024);
}

TEST(Offload, WritesWhatChangesAgainAndWhatDoesNotOnce) {
  const TestFolder folder;
  const at::Tensor tensor = at::zeros({8});
  Offload offload(folder.path());
  for (const bool constant : {false, true}) {
    for (int round = 1; round < 4; ++round) {
      tensor.fill_(round);
      ASSERT_EQ(offload.PutAway({.kept = {tensor}, .constant = constant}), absl::OkStatus());
      ASSERT_EQ(offload.BringBack(), absl::OkStatus());
      // Whoever says that it is constant gets what was written first.
      EXPECT_TRUE(at::equal(tensor, at::full({8}, constant ? 1 : round)));
    }
  }
  const at::Tensor other = at::full({8}, 7);
  ASSERT_EQ(offload.PutAway({.kept = {other}, .constant = true}), absl::OkStatus());
  ASSERT_EQ(offload.BringBack(), absl::OkStatus());
  EXPECT_TRUE(at::equal(other, at::full({8}, 7)));
}

TEST(Offload, MovesNothingWhereThereIsNoRoom) {
  const at::Tensor tensor = at::ones({8});
  Offload nowhere("/nowhere");
  const absl::Status status = nowhere.PutAway({.kept = {tensor}});
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere"));
  EXPECT_EQ(nowhere.bytes(), 0);
  EXPECT_EQ(tensor.sum().item<float>(), 8);
  ASSERT_EQ(nowhere.BringBack(), absl::OkStatus());
}

TEST(LoadTurn, IsForOneAtATimeOnADevice) {
  const TestFolder folder;
  auto first = std::make_unique<LoadTurn>(LoadTurn::Await(folder.path(), "cuda:0").value());
  ASSERT_TRUE(LoadTurn::Await(folder.path(), "cpu").ok());
  absl::Notification taken;
  std::thread second([&] {
    const auto turn = LoadTurn::Await(folder.path(), "cuda:0");
    EXPECT_TRUE(turn.ok()) << turn.status();
    taken.Notify();
  });
  EXPECT_FALSE(taken.HasBeenNotified());
  first.reset();
  taken.WaitForNotification();
  second.join();
  EXPECT_FALSE(LoadTurn::Await("/nowhere", "cpu").ok());
}

}  // namespace
}  // namespace rein::host
