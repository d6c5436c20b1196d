#include <ATen/ATen.h>

#include <memory>
#include <utility>

#include "base/status.h"
#include "learning/tensor/losses.h"
#include "training/offline.h"
#include "training/pairs.h"
#include "training/ranking.h"
#include "training/supervised.h"

namespace rein::training {
namespace {

using Rows = OfflineTraining::Rows;

// The two answers of each row: the one that should score higher, and the other. Scores and signs in the order
// of rows.
struct PairScores {
  at::Tensor high, low;  // float32 [B], differentiable
};
struct PairSigns {
  std::vector<float> high, low;  // s: > 0 harmful; zeros for reward models
};

class PreferenceTask {
 public:
  PreferenceTask(OfflineTraining& training, const PreferenceOptions& options, bool is_cost)
      : training_(training),
        forward_(training.forward()),
        options_(options),
        is_cost_(is_cost),
        first_(is_cost ? LessSafeAnswer : MoreHelpfulAnswer) {}

  absl::StatusOr<LossPart> Part(const Corpus& corpus, const Rows& rows, Metrics& metrics) {
    LossPart part;
    part.item_tokens = PairTokens(rows);
    part.item_name = [rows](size_t item) { return rows[item]->id; };
    metrics["accuracy"] = 0;
    part.loss = [this, &corpus, rows, &metrics](size_t begin, size_t end) -> absl::StatusOr<at::Tensor> {
      const Rows some = Slice(rows, begin, end);
      REIN_ASSIGN_OR_RETURN(const PairScores scores, Scores(corpus, some));
      const double share = static_cast<double>(some.size()) / static_cast<double>(rows.size());
      metrics["accuracy"] += share * RankingAccuracy(ToVector(scores.high), ToVector(scores.low));
      return Loss(scores, Signs(some)) * share;
    };
    return part;
  }

  absl::StatusOr<Metrics> Evaluate(const Corpus& corpus, const Rows& rows) {
    const auto values = [&](const Rows& some) -> absl::StatusOr<at::Tensor> {
      REIN_ASSIGN_OR_RETURN(const PairScores scores, Scores(corpus, some));
      return at::stack({scores.high, scores.low}, 1);
    };
    REIN_ASSIGN_OR_RETURN(const at::Tensor columns, training_.ValuesOf(rows, PairTokens(rows), values));
    const at::Tensor scores = columns.to(forward_.device(), at::kFloat);
    const PairScores all{scores.select(1, 0), scores.select(1, 1)};
    Metrics metrics = {{"loss", Loss(all, Signs(rows)).item<double>()},
                       {"ranking_accuracy", RankingAccuracy(ToVector(all.high), ToVector(all.low))}};
    if (is_cost_) AddCostMetrics(all, rows, metrics);
    return metrics;
  }

 private:
  // One forward of 2B sequences: answers that should score higher first.
  absl::StatusOr<PairScores> Scores(const Corpus& corpus, const Rows& rows) {
    REIN_ASSIGN_OR_RETURN(const std::vector<Sequence> sequences, PairSequences(corpus, rows, first_));
    REIN_ASSIGN_OR_RETURN(const SequenceForward::Output output,
                          forward_.Run(Pointers(sequences), Positions::kLast));
    const std::vector<at::Tensor> halves = forward_.model().Scores(output.hidden).chunk(2);
    return PairScores{halves[0], halves[1]};
  }

  float Sign(const CorpusRow& row, int answer) const {
    if (options_.binary_labels) return row.is_safe[answer] ? -1.0f : 1.0f;
    return static_cast<float>(-row.harmless_rate[answer]);
  }

  PairSigns Signs(const Rows& rows) const {
    PairSigns signs;
    for (const CorpusRow* row : rows) {
      signs.high.push_back(Sign(*row, first_(*row)));
      signs.low.push_back(Sign(*row, 1 - first_(*row)));
    }
    return signs;
  }

  at::Tensor Loss(const PairScores& scores, const PairSigns& signs) const {
    if (!is_cost_) return learning::RewardLoss(scores.high, scores.low, options_.regularization);
    return learning::CostLoss(scores.high, scores.low, ToTensor(signs.high, forward_.device()),
                              ToTensor(signs.low, forward_.device()), options_.sign_scale,
                              options_.regularization);
  }

  // Judged by the ratings, whatever the labels that were trained on.
  void AddCostMetrics(const PairScores& scores, const Rows& rows, Metrics& metrics) const {
    std::vector<float> signs;
    for (const bool high : {true, false}) {
      for (const CorpusRow* row : rows) {
        const int answer = high ? first_(*row) : 1 - first_(*row);
        signs.push_back(static_cast<float>(-row->harmless_rate[answer]));
      }
    }
    const std::vector<float> all = ToVector(at::cat({scores.high, scores.low}));
    if (const auto accuracy = SignAccuracy(all, signs)) metrics["sign_accuracy"] = *accuracy;
    if (const auto area = AreaUnderCurve(all, signs)) metrics["auc"] = *area;
    if (const auto error = CalibrationError(all, signs)) metrics["calibration_error"] = *error;
    if (const auto score = BrierScore(all, signs)) metrics["brier_score"] = *score;
  }

  OfflineTraining& training_;
  SequenceForward& forward_;
  const PreferenceOptions& options_;
  const bool is_cost_;
  const FirstAnswerFn first_;  // the answer that should score higher
};

absl::StatusOr<Metrics> TrainPreference(const PreferenceOptions& options, bool is_cost,
                                        const TrainProgressFn& progress) {
  OfflineKind kind{.score_head = true, .need = is_cost ? data::Need::kPair : data::Need::kHelpfulPair};
  kind.settings = {{"kind", is_cost ? "cost" : "reward"}, {"regularization", options.regularization}};
  if (is_cost) {
    kind.settings["labels"] = options.binary_labels ? "binary" : "graded";
    kind.settings["sign_scale"] = options.sign_scale;
  }
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<OfflineTraining> training,
                        OfflineTraining::Create(options, kind));
  PreferenceTask preference(*training, options, is_cost);
  OfflineTraining::Task task;
  task.loss = [&](const Corpus& corpus, const Rows& rows, Metrics& metrics) {
    return preference.Part(corpus, rows, metrics);
  };
  task.evaluate = [&](const Corpus& corpus, const Rows& rows) { return preference.Evaluate(corpus, rows); };
  return training->Run(task, progress);
}

}  // namespace

absl::StatusOr<Metrics> TrainRewardModel(const PreferenceOptions& options, const TrainProgressFn& progress) {
  return TrainPreference(options, /*is_cost=*/false, progress);
}

absl::StatusOr<Metrics> TrainCostModel(const PreferenceOptions& options, const TrainProgressFn& progress) {
  return TrainPreference(options, /*is_cost=*/true, progress);
}

}  // namespace rein::training
