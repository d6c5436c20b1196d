#include "training/rank_threads.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace rein::training {

void ForEachRank(int world, const std::function<void(Ranks& ranks)>& member) {
  const auto store = collectives::ServeRendezvous();
  ASSERT_TRUE(store.ok()) << store.status();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);  // of this one
      collectives::GroupOptions options;
      options.store_address = (*store)->address();
      options.rank = rank;
      options.world = world;
      auto group = collectives::JoinWeightGroup(options);
      ASSERT_TRUE(group.ok()) << group.status();
      Ranks ranks(*std::move(group));
      member(ranks);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(Ranks, AloneSendNothing) {
  Ranks ranks;
  EXPECT_EQ(ranks.world(), 1);
  EXPECT_TRUE(ranks.is_first());
  EXPECT_EQ(ranks.Agree(absl::NotFoundError("x")), absl::NotFoundError("x"));
  EXPECT_THAT(ranks.Gather("a").value(), ElementsAre("a"));
  EXPECT_THAT(ranks.Sum({{"loss", 2}}).value(), ElementsAre(Pair("loss", 2)));
}

TEST(Ranks, AgreeOnTheErrorOfTheLowestRank) {
  ForEachRank(3, [](Ranks& ranks) {
    EXPECT_EQ(ranks.Agree(absl::OkStatus()), absl::OkStatus());
    const absl::Status mine = ranks.rank() == 0
                                  ? absl::OkStatus()
                                  : absl::DataLossError(absl::StrCat("bad row ", ranks.rank(), "\xff"));
    const absl::Status agreed = ranks.Agree(mine);
    EXPECT_EQ(agreed.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(agreed.message(), HasSubstr("rank 1 of 3: bad row 1"));
  });
}

TEST(Ranks, LetTheFirstOneWorkAndHearOfIt) {
  std::atomic<int> calls = 0;
  ForEachRank(2, [&](Ranks& ranks) {
    const auto work = [&]() -> absl::Status {
      ++calls;
      throw std::runtime_error("disk gone");
    };
    EXPECT_THAT(ranks.OnFirst(work).message(), HasSubstr("disk gone"));
  });
  EXPECT_EQ(calls, 1);
}

TEST(Ranks, SumByNameAlsoWhatSomeLackAndWhatIsNotFinite) {
  ForEachRank(3, [](Ranks& ranks) {
    Metrics mine = {{"loss", 0.1 * (ranks.rank() + 1)}};
    if (ranks.rank() == 1) mine["margin"] = 4;
    if (ranks.rank() == 2) mine["bad"] = std::nan("");
    const Metrics sums = ranks.Sum(mine).value();
    EXPECT_DOUBLE_EQ(sums.at("loss"), 0.6);
    EXPECT_EQ(sums.at("margin"), 4);
    EXPECT_TRUE(std::isnan(sums.at("bad")));
  });
}

TEST(Ranks, SumGradientsAndKeepThoseThatNobodyHas) {
  ForEachRank(2, [](Ranks& ranks) {
    models::NamedTensors parameters;
    for (const char* name : {"both", "one", "none"})
      parameters.emplace_back(name, at::zeros({2, 3}).requires_grad_(true));
    parameters[0].second.mutable_grad() = at::full({2, 3}, 1.0 + ranks.rank());
    if (ranks.rank() == 1) parameters[1].second.mutable_grad() = at::full({2, 3}, 5.0);
    ASSERT_EQ(ranks.SumGradients(parameters), absl::OkStatus());
    EXPECT_TRUE(at::equal(parameters[0].second.grad(), at::full({2, 3}, 3.0)));
    EXPECT_TRUE(at::equal(parameters[1].second.grad(), at::full({2, 3}, 5.0)));
    EXPECT_FALSE(parameters[2].second.grad().defined());
  });
}

TEST(Ranks, NoticeThatOneIsGone) {
  ForEachRank(3, [](Ranks& ranks) {
    if (ranks.rank() == 1) return;
    const absl::Status status = ranks.Agree(absl::OkStatus());
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  });
}

}  // namespace
}  // namespace rein::training
