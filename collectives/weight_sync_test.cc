// Weights from a publisher to receivers: threads as ranks, and forked processes that die.
#include "collectives/weight_sync.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "absl/time/time.h"

namespace rein::collectives {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;

constexpr Version kVersion{2, 7};

// Awkward sizes, a scalar, an empty one, a strided view, and several dtypes.
NamedTensors Tensors(float shift) {
  const at::Tensor base = at::arange(6 * 10, at::kFloat).reshape({6, 10}) + shift;
  return {{"model.layers.0.weight", base.clone()},
          {"model.layers.0.strided", base.t().clone().t()},
          {"lm head", at::full({3, 7}, shift, at::kBFloat16)},
          {"scale", at::full({}, shift, at::kDouble)},
          {"none", at::empty({0, 4})},
          {"bytes", at::full({5}, 3, at::kByte) + static_cast<int64_t>(shift)}};
}

void ExpectSame(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(at::equal(a[i].second, b[i].second)) << a[i].first;
  }
}

GroupOptions Member(const Rendezvous& store, int rank, int world) {
  GroupOptions options;
  options.store_address = store.address();
  options.rank = rank;
  options.world = world;
  options.timeout = absl::Seconds(20);
  return options;
}

// Runs `member` as every rank of a group, in threads.
void WithGroup(int world, const std::function<void(WeightGroup&)>& member) {
  auto store = ServeRendezvous();
  ASSERT_TRUE(store.ok()) << store.status();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank] {
      auto group = JoinWeightGroup(Member(**store, rank, world));
      ASSERT_TRUE(group.ok()) << group.status();
      member(**group);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(WeightSync, BringsEqualWeightsToAllReceivers) {
  const NamedTensors published = Tensors(1);
  for (const int64_t bucket_bytes : {64, 200, 1 << 20}) {
    WithGroup(3, [&](WeightGroup& group) {
      if (group.rank() == 0) {
        auto sender = WeightSender::Make(&group, published, bucket_bytes);
        ASSERT_TRUE(sender.ok()) << sender.status();
        for (const Version version : {kVersion, Version{2, 8}}) {
          const auto sent = sender->Send(version);
          ASSERT_TRUE(sent.ok()) << sent.status();
          EXPECT_EQ(sent->fingerprint, Fingerprint(published));
        }
        return;
      }
      const NamedTensors model = Tensors(0), before = Tensors(0);
      auto staged = StagedWeights::For(model);
      ASSERT_TRUE(staged.ok()) << staged.status();
      WeightReceiver receiver(&group, &*staged);
      for (const Version version : {kVersion, Version{2, 8}}) {
        const auto fingerprint = receiver.Receive(version);
        ASSERT_TRUE(fingerprint.ok()) << fingerprint.status();
        EXPECT_EQ(*fingerprint, Fingerprint(published));
      }
      ExpectSame(model, before);
      EXPECT_EQ(staged->Apply(kVersion).code(), absl::StatusCode::kFailedPrecondition);
      ASSERT_TRUE(staged->Apply({2, 8}).ok());
      ExpectSame(model, published);
      EXPECT_EQ(Fingerprint(model), Fingerprint(published));
    });
  }
}

TEST(WeightSync, RefusesAnotherShapeAndGoesOn) {
  WithGroup(3, [&](WeightGroup& group) {
    NamedTensors tensors = Tensors(5);
    if (group.rank() == 0) {
      NamedTensors wrong = tensors;
      wrong[0].second = at::zeros({6, 11});
      auto sender = WeightSender::Make(&group, wrong);
      const auto refused = sender->Send(kVersion);
      EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_THAT(std::string(refused.status().message()), HasSubstr("rank 1, 2"));
      EXPECT_TRUE(WeightSender::Make(&group, tensors)->Send(kVersion).ok());
      return;
    }
    auto staged = StagedWeights::For(tensors);
    WeightReceiver receiver(&group, &*staged);
    const auto refused = receiver.Receive(kVersion);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr("model.layers.0.weight F32 [6, 11] instead of model.layers.0.weight F32 [6, 10]"));
    EXPECT_FALSE(staged->staged());
    EXPECT_TRUE(receiver.Receive(kVersion).ok());
  });
}

TEST(WeightSync, RefusesAnotherVersion) {
  WithGroup(2, [&](WeightGroup& group) {
    const NamedTensors tensors = Tensors(5);
    if (group.rank() == 0) {
      EXPECT_EQ(WeightSender::Make(&group, tensors)->Send({1, 7}).status().code(),
                absl::StatusCode::kFailedPrecondition);
      return;
    }
    auto staged = StagedWeights::For(tensors);
    const auto received = WeightReceiver(&group, &*staged).Receive(kVersion);
    EXPECT_THAT(std::string(received.status().message()), HasSubstr("expected weights version 2.7"));
  });
}

TEST(WeightSync, SaysWhatIsWrongWithItsArguments) {
  WithGroup(1, [&](WeightGroup& group) {
    const NamedTensors twice = {{"a", at::zeros({2})}, {"a", at::zeros({2})}};
    EXPECT_EQ(WeightSender::Make(&group, twice).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(WeightSender::Make(&group, {}, 0).status().code(), absl::StatusCode::kInvalidArgument);
    const NamedTensors complex = {{"a", at::zeros({2}, at::kComplexFloat)}};
    EXPECT_THAT(std::string(WeightSender::Make(&group, complex).status().message()), HasSubstr("BF16"));
  });
}

// A child that joins as `rank` and then does `then`.
pid_t Fork(const GroupOptions& options, const std::function<void(WeightGroup&)>& then) {
  const pid_t child = fork();
  if (child != 0) return child;
  at::set_num_threads(1);  // OpenMP's threads did not come along
  auto group = JoinWeightGroup(options);
  if (!group.ok()) _exit(1);
  then(**group);
  _exit(0);
}

int ExitOf(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The store lives in a process of its own: fork() and threads do not go together.
class WeightProcesses : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    server_ = fork();
    if (server_ == 0) {
      auto store = ServeRendezvous();
      const std::string address = store.ok() ? (*store)->address() : "";
      if (write(ends[1], address.data(), address.size()) < 0) _exit(1);
      close(ends[1]);
      while (true) pause();
    }
    close(ends[1]);
    char text[64] = {};
    ASSERT_GT(read(ends[0], text, sizeof text - 1), 0);
    close(ends[0]);
    address_ = text;
  }
  void TearDown() override {
    kill(server_, SIGKILL);
    ExitOf(server_);
  }
  GroupOptions Options(int rank, int world, absl::Duration timeout) const {
    GroupOptions options;
    options.store_address = address_;
    options.rank = rank;
    options.world = world;
    options.timeout = timeout;
    return options;
  }

  std::string address_;
  pid_t server_ = 0;
};

TEST_F(WeightProcesses, ReceiveWhatWasPublished) {
  std::vector<pid_t> children;
  const uint64_t expected = Fingerprint(Tensors(3));
  for (int rank = 1; rank < 3; ++rank) {
    children.push_back(Fork(Options(rank, 3, absl::Seconds(20)), [&](WeightGroup& group) {
      auto staged = StagedWeights::For(Tensors(0));
      const auto received = WeightReceiver(&group, &*staged).Receive(kVersion);
      _exit(received.ok() && *received == expected ? 0 : 2);
    }));
  }
  children.push_back(Fork(Options(0, 3, absl::Seconds(20)), [&](WeightGroup& group) {
    const auto sent = WeightSender::Make(&group, Tensors(3))->Send(kVersion);
    _exit(sent.ok() && sent->fingerprint == expected ? 0 : 2);
  }));
  for (const pid_t child : children) EXPECT_EQ(ExitOf(child), 0);
}

// Rank 2 takes part in the agreement and then gets `signal`. Returns the status codes that ranks 0 and 1 end
// with.
std::vector<absl::StatusCode> CodesAfter(const std::function<GroupOptions(int)>& options, int signal) {
  const NamedTensors tensors = {{"big", at::zeros({16 << 20}, at::kFloat)}};
  const pid_t victim = Fork(options(2), [&](WeightGroup& group) {
    auto header = group.Broadcast(at::empty({40}, at::kByte));
    if (!header.ok() || !(*header)->Wait().ok()) _exit(3);
    raise(signal);
  });
  const pid_t receiver = Fork(options(1), [&](WeightGroup& group) {
    auto staged = StagedWeights::For(tensors);
    _exit(static_cast<int>(WeightReceiver(&group, &*staged).Receive(kVersion).status().code()));
  });
  const pid_t sender = Fork(options(0), [&](WeightGroup& group) {
    _exit(static_cast<int>(WeightSender::Make(&group, tensors, 1 << 20)->Send(kVersion).status().code()));
  });
  const std::vector<absl::StatusCode> codes = {static_cast<absl::StatusCode>(ExitOf(sender)),
                                               static_cast<absl::StatusCode>(ExitOf(receiver))};
  kill(victim, SIGKILL);
  EXPECT_EQ(ExitOf(victim), 128 + SIGKILL);
  return codes;
}

TEST_F(WeightProcesses, NoticeAKilledMember) {
  // UNAVAILABLE: closed connections told, not the timeout.
  EXPECT_THAT(CodesAfter([&](int rank) { return Options(rank, 3, absl::Seconds(60)); }, SIGKILL),
              Each(absl::StatusCode::kUnavailable));
}

TEST_F(WeightProcesses, GiveUpOnAStoppedMember) {
  // Who gives up first closes its connections, which the other may notice before its own timeout.
  const auto codes = CodesAfter([&](int rank) { return Options(rank, 3, absl::Seconds(1)); }, SIGSTOP);
  EXPECT_THAT(codes, Contains(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(codes, Each(AnyOf(absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kUnavailable)));
}

}  // namespace
}  // namespace rein::collectives
