// Trainings by several ranks against the same by one.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "guard/head/guard_head.h"
#include "models/folder.h"
#include "nlohmann/json.hpp"
#include "training/preference_rows.h"
#include "training/rank_threads.h"
#include "training/supervised.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Rounding decides the sign of gradients that are zero but for it, and Adam makes steps of them whatever
// their size: with this epsilon it does not.
constexpr double kEpsilon = 1e-2;
// Sums of float32 in another order: with AVX-512 norms of gradients differ by up to 2e-6.
constexpr double kTolerance = 1e-5;

// Rows of different lengths.
data::PreferenceRow UnequalRow(int i) {
  data::PreferenceRow row = SeparableRow(i);
  row.question += std::string(static_cast<size_t>(7 * i % 20), '?');
  row.response[0] += std::string(static_cast<size_t>(5 * i % 11), '.');
  return row;
}

template <typename Options>
Options RankOptions(const fs::path& folder) {
  Options options = TinyOptions<Options>(folder, UnequalRow);
  options.steps = 5;
  options.batch = 5;
  options.evaluate_every = 2;
  options.optimizer.epsilon = kEpsilon;
  options.optimizer.micro_batch_tokens = 100;
  return options;
}

std::vector<Metrics> Lines(const fs::path& output) {
  std::vector<Metrics> lines;
  const std::string text = ReadFile(fs::path(output.string() + ".training/metrics.jsonl")).value_or("");
  for (const auto& line : absl::StrSplit(text, '\n', absl::SkipEmpty()))
    lines.push_back(nlohmann::json::parse(line).get<Metrics>());
  return lines;
}

// What every rank returned.
template <typename Options, typename Train>
std::vector<absl::StatusOr<Metrics>> TrainWith(int world, Options options, const fs::path& output,
                                               Train train) {
  options.output = output;
  std::vector<absl::StatusOr<Metrics>> results(world, absl::UnknownError("did not run"));
  ForEachRank(world, [&](Ranks& ranks) {
    Options mine = options;
    mine.ranks = &ranks;
    results[ranks.rank()] = train(mine, nullptr);
  });
  return results;
}

void ExpectNear(const Metrics& metrics, const Metrics& expected) {
  ASSERT_EQ(metrics.size(), expected.size());
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_NEAR(metrics.at(name), value, kTolerance * std::max(1.0, std::abs(value))) << name;
  }
}

void ExpectNearModels(const fs::path& folder, const fs::path& expected) {
  const auto ours = models::LoadModel(folder), theirs = models::LoadModel(expected);
  ASSERT_TRUE(ours.ok() && theirs.ok());
  for (size_t i = 0; i < (*ours)->tensors().size(); ++i) {
    const auto& [name, tensor] = (*ours)->tensors()[i];
    const at::Tensor other = (*theirs)->tensors()[i].second;
    EXPECT_LE((tensor - other).norm().item<double>(), kTolerance * std::max(1.0, other.norm().item<double>()))
        << name;
  }
}

// One, two and three ranks; two of them twice.
template <typename Options, typename Train>
void ExpectThatRanksChangeNothing(const Options& options, const fs::path& folder, Train train) {
  const auto alone = TrainWith(1, options, folder / "1", train);
  ASSERT_TRUE(alone[0].ok()) << alone[0].status();
  const std::vector<Metrics> expected = Lines(folder / "1");
  ASSERT_EQ(expected.size(), 5u);
  for (const int world : {2, 3}) {
    const fs::path output = folder / absl::StrCat(world);
    for (const auto& result : TrainWith(world, options, output, train)) {
      ASSERT_TRUE(result.ok()) << result.status();
      ExpectNear(*result, *alone[0]);
    }
    const std::vector<Metrics> lines = Lines(output);
    ASSERT_EQ(lines.size(), expected.size());
    for (size_t i = 0; i < lines.size(); ++i) ExpectNear(lines[i], expected[i]);
    ExpectNearModels(output, folder / "1");
  }
  ASSERT_TRUE(TrainWith(2, options, folder / "again", train)[0].ok());
  EXPECT_EQ(models::ModelDigest(folder / "again").value(), models::ModelDigest(folder / "2").value());
  EXPECT_EQ(Lines(folder / "again"), Lines(folder / "2"));
}

TEST(DataParallel, SftIsThatOfOneProcess) {
  const fs::path folder = FreshFolder("ranks");
  ExpectThatRanksChangeNothing(RankOptions<SftOptions>(folder), folder, TrainSft);
}

TEST(DataParallel, RewardModelsAreThoseOfOneProcess) {
  const fs::path folder = FreshFolder("ranks");
  ExpectThatRanksChangeNothing(RankOptions<PreferenceOptions>(folder), folder, TrainRewardModel);
}

TEST(DataParallel, CostModelsAreThoseOfOneProcess) {
  const fs::path folder = FreshFolder("ranks");
  PreferenceOptions options = RankOptions<PreferenceOptions>(folder);
  options.keep_best = true;
  ExpectThatRanksChangeNothing(options, folder, TrainCostModel);
}

TEST(DataParallel, DpoIsThatOfOneProcess) {
  const fs::path folder = FreshFolder("ranks");
  ExpectThatRanksChangeNothing(RankOptions<DpoOptions>(folder), folder, TrainDpo);
}

// Questions and answers of every level.
data::PreferenceRow ModeratedRow(int i) {
  constexpr const char* kLevels[] = {"safe", "minor", "moderate", "severe"};
  data::PreferenceRow row = UnequalRow(i);
  row.severity = kLevels[i % 4];
  row.category = i % 4 == 0 ? "benign" : "animal_abuse";
  for (int answer = 0; answer < 2; ++answer) {
    row.harmless_rate[answer] = answer == 0 ? -(i % 4) : 2;
    row.is_safe[answer] = row.harmless_rate[answer] >= 0;
  }
  return row;
}

TEST(DataParallel, GuardsAreThoseOfOneProcess) {
  const fs::path folder = FreshFolder("ranks");
  GuardOptions options = RankOptions<GuardOptions>(folder);
  options.data = WriteRows(folder, "moderated.parquet", 8, ModeratedRow);
  options.evaluation = WriteRows(folder, "evaluation.parquet", 24, ModeratedRow);
  ExpectThatRanksChangeNothing(options, folder, TrainGuard);
  const guard::GuardHead alone = guard::ReadGuardHead(folder / "1", 32).value();
  EXPECT_FALSE(at::equal(alone.weight, guard::DrawGuardHead(32, options.seed).weight));
  for (const char* world : {"2", "3"}) {
    const guard::GuardHead together = guard::ReadGuardHead(folder / world, 32).value();
    EXPECT_TRUE(at::allclose(together.weight, alone.weight, 0, kTolerance));
    EXPECT_TRUE(at::allclose(together.bias, alone.bias, 0, kTolerance));
  }
}

TEST(DataParallel, AdaptersAreThoseOfOneProcess) {
  const fs::path folder = FreshFolder("ranks");
  SftOptions options = RankOptions<SftOptions>(folder);
  options.lora = {.rank = 2, .alpha = 4};
  ExpectThatRanksChangeNothing(options, folder, TrainSft);
}

TEST(DataParallel, RanksWithoutRowsTakePart) {
  const fs::path folder = FreshFolder("ranks");
  DpoOptions options = RankOptions<DpoOptions>(folder);
  options.batch = 2;
  ExpectThatRanksChangeNothing(options, folder, TrainDpo);
}

TEST(DataParallel, ResumesExactlyAndWithOtherRanksUpToRounding) {
  const fs::path folder = FreshFolder("ranks");
  SftOptions options = RankOptions<SftOptions>(folder);
  options.steps = 6;
  options.save_every = 2;
  ASSERT_TRUE(TrainWith(2, options, folder / "whole", TrainSft)[0].ok());
  for (const int world : {2, 3}) {
    const fs::path output = folder / absl::StrCat("resumed", world);
    const auto die = [](const SftOptions& mine, const TrainProgressFn&) {
      return TrainSft(mine, [](const TrainProgress& progress) {
        if (progress.step == 5) throw std::runtime_error("killed");
      });
    };
    EXPECT_FALSE(TrainWith(2, options, output, die)[0].ok());
    EXPECT_FALSE(fs::exists(output));
    SftOptions again = options;
    again.resume = true;
    for (const auto& result : TrainWith(world, again, output, TrainSft))
      ASSERT_TRUE(result.ok()) << result.status();
    ExpectNearModels(output, folder / "whole");
    if (world == 2)
      EXPECT_EQ(models::ModelDigest(output).value(), models::ModelDigest(folder / "whole").value());
  }
}

// All ranks return the same error, and nothing is written.
void ExpectSameError(const std::vector<absl::StatusOr<Metrics>>& results, const fs::path& output,
                     absl::StatusCode code, const std::string& text) {
  for (const auto& result : results) {
    EXPECT_EQ(result.status(), results[0].status());
    EXPECT_EQ(result.status().code(), code) << result.status();
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(text));
  }
  EXPECT_FALSE(fs::exists(output));
}

TEST(DataParallel, AllRanksTellWhichRowHasALossThatIsNotFinite) {
  const fs::path folder = FreshFolder("ranks");
  PreferenceOptions options = RankOptions<PreferenceOptions>(folder);
  options.optimizer.learning_rate = 1e30;
  const fs::path output = folder / "output";
  ExpectSameError(TrainWith(3, options, output, TrainRewardModel), output, absl::StatusCode::kDataLoss,
                  "The step was not taken");
}

TEST(DataParallel, AllRanksTellWhatOneCannotLoad) {
  const fs::path folder = FreshFolder("ranks");
  const SftOptions options = RankOptions<SftOptions>(folder);
  const auto train = [](SftOptions mine, const TrainProgressFn& progress) {
    if (mine.ranks->rank() == 1) mine.data = "there/is/no/such.parquet";
    return TrainSft(mine, progress);
  };
  const fs::path output = folder / "output";
  ExpectSameError(TrainWith(2, options, output, train), output, absl::StatusCode::kNotFound, "rank 1 of 2: ");
}

TEST(DataParallel, RefusesRanksThatDiffer) {
  const fs::path folder = FreshFolder("ranks");
  const SftOptions options = RankOptions<SftOptions>(folder);
  WriteTinyModel(folder / "other", 2);
  const fs::path output = folder / "output";
  const auto other_model = [&](SftOptions mine, const TrainProgressFn& progress) {
    if (mine.ranks->rank() == 1) mine.model = folder / "other";
    return TrainSft(mine, progress);
  };
  ExpectSameError(TrainWith(2, options, output, other_model), output, absl::StatusCode::kInvalidArgument,
                  "rank 1 has other values than rank 0 of model");
  const auto other_rows = [&](SftOptions mine, const TrainProgressFn& progress) {
    if (mine.ranks->rank() == 1) {
      mine.data = WriteRows(folder, "other.parquet", 8, SeparableRow);
      mine.seed = 7;
    }
    return TrainSft(mine, progress);
  };
  ExpectSameError(TrainWith(2, options, output, other_rows), output, absl::StatusCode::kInvalidArgument,
                  "of data, seed");
}

TEST(DataParallel, ARankThatLeavesEndsTheOthers) {
  const fs::path folder = FreshFolder("ranks");
  SftOptions options = RankOptions<SftOptions>(folder);
  options.save_every = 1;
  const fs::path output = folder / "output";
  const auto train = [](const SftOptions& mine, const TrainProgressFn&) {
    return TrainSft(mine, [&](const TrainProgress& progress) {
      if (mine.ranks->rank() == 1 && progress.step == 2) throw std::runtime_error("killed");
    });
  };
  const auto results = TrainWith(2, options, output, train);
  EXPECT_EQ(results[0].status().code(), absl::StatusCode::kUnavailable) << results[0].status();
  EXPECT_FALSE(fs::exists(output));
  EXPECT_TRUE(fs::exists(folder / "output.training/step-2/state.json"));
}

}  // namespace
}  // namespace rein::training
