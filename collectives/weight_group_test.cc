#include "collectives/weight_group.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

namespace rein::collectives {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

GroupOptions Member(const std::string& address, int rank, int world, absl::Duration timeout) {
  GroupOptions options;
  options.store_address = address;
  options.rank = rank;
  options.world = world;
  options.timeout = timeout;
  return options;
}

TEST(WeightGroup, GathersByRank) {
  const auto store = ServeRendezvous();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT((*store)->address(), HasSubstr("127.0.0.1:"));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      const auto group = JoinWeightGroup(Member((*store)->address(), rank, 3, absl::Seconds(20)));
      ASSERT_TRUE(group.ok()) << group.status();
      EXPECT_THAT((*group)->Gather(10 * rank).value(), ElementsAre(0, 10, 20));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Runs `member(group, rank)` for every rank of a group, each on a thread of its own.
void ForEachRank(int world, const std::function<void(WeightGroup&, int rank)>& member) {
  const auto store = ServeRendezvous();
  ASSERT_TRUE(store.ok()) << store.status();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank] {
      const auto group = JoinWeightGroup(Member((*store)->address(), rank, world, absl::Seconds(20)));
      ASSERT_TRUE(group.ok()) << group.status();
      member(**group, rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(WeightGroup, GathersBytesOfAnyLength) {
  ForEachRank(3, [](WeightGroup& group, int rank) {
    EXPECT_THAT(group.GatherBytes(std::string(static_cast<size_t>(2 * rank), 'x')).value(),
                ElementsAre("", "xx", "xxxx"));
    EXPECT_THAT(group.GatherBytes("").value(), ElementsAre("", "", ""));
  });
}

TEST(WeightGroup, SumsToTheSameBitsOnEveryRankAndAgain) {
  constexpr int kWorld = 3;
  std::vector<at::Tensor> sums[kWorld];
  ForEachRank(kWorld, [&](WeightGroup& group, int rank) {
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kFloat}) {
      const at::Tensor values = at::arange(100003, dtype).mul_(0.1 * (rank + 1));
      ASSERT_EQ(group.Sum(values), absl::OkStatus());
      EXPECT_LT((values - at::arange(100003, dtype).mul_(0.6)).abs().max().item<double>(), 0.05);
      sums[rank].push_back(values);
    }
  });
  for (const auto& of_rank : sums) {
    ASSERT_EQ(of_rank.size(), 3u);
    EXPECT_TRUE(at::equal(of_rank[0], of_rank[2]));
    for (size_t i = 0; i < of_rank.size(); ++i) EXPECT_TRUE(at::equal(of_rank[i], sums[0][i]));
  }
}

TEST(WeightGroup, OfANewEpochIsBuiltAtTheSameStore) {
  const auto store = ServeRendezvous();
  for (const uint64_t epoch : {1, 2}) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        GroupOptions options = Member((*store)->address(), rank, 2, absl::Seconds(20));
        options.epoch = epoch;
        const auto group = JoinWeightGroup(options);
        ASSERT_TRUE(group.ok()) << group.status();
        EXPECT_THAT((*group)->Gather(rank).value(), ElementsAre(0, 1));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(WeightGroup, DoesNotWaitForeverForAMember) {
  const auto store = ServeRendezvous();
  const auto group = JoinWeightGroup(Member((*store)->address(), 0, 2, absl::Milliseconds(300)));
  EXPECT_EQ(group.status().code(), absl::StatusCode::kDeadlineExceeded) << group.status();
}

TEST(WeightGroup, FailsWhereNobodyServesTheStore) {
  std::string address;
  { address = (*ServeRendezvous())->address(); }
  const auto group = JoinWeightGroup(Member(address, 0, 1, absl::Milliseconds(300)));
  EXPECT_THAT(group.status().code(),
              testing::AnyOf(absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(group.status().message()), HasSubstr(address));
}

TEST(WeightGroup, AbortEndsAPendingOperationOfEveryMember) {
  const auto store = ServeRendezvous();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      // The test would run into this timeout if Abort did not work.
      const auto group = JoinWeightGroup(Member((*store)->address(), rank, 2, absl::Seconds(60)));
      ASSERT_TRUE(group.ok()) << group.status();
      const at::Tensor tensor = at::zeros({1 << 20});
      // Rank 1 waits for what rank 0 never sends; rank 0 gives up.
      if (rank == 0) {
        (*group)->Abort();
        EXPECT_EQ((*group)->Gather(1).status().code(), absl::StatusCode::kUnavailable);
        return;
      }
      const auto transfer = (*group)->Broadcast(tensor);
      const absl::Status status = transfer.ok() ? (*transfer)->Wait() : transfer.status();
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(WeightGroup, SaysWhatIsWrongWithItsOptions) {
  const auto code = [](const GroupOptions& options) { return JoinWeightGroup(options).status().code(); };
  EXPECT_EQ(code(Member("127.0.0.1:1", 2, 2, absl::Seconds(1))), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Member("127.0.0.1", 0, 1, absl::Seconds(1))), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Member("127.0.0.1:1", 0, 1, absl::ZeroDuration())), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ServeRendezvous("example.org").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ServeRendezvous("192.0.2.1").status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace rein::collectives
