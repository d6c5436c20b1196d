// The two answers of preference rows, side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "training/offline.h"

namespace rein::training {

// Which answer, 0 or 1, comes first: the better one, or for cost the less safe one.
using FirstAnswerFn = int (*)(const CorpusRow& row);
int MoreHelpfulAnswer(const CorpusRow& row);
int SaferAnswer(const CorpusRow& row);
int LessSafeAnswer(const CorpusRow& row);

// Tokens of prompt and first answer of each row.
std::vector<int64_t> FirstAnswerTokens(const OfflineTraining::Rows& rows);
// Tokens of prompt and answer, twice, of each row.
std::vector<int64_t> PairTokens(const OfflineTraining::Rows& rows);

OfflineTraining::Rows Slice(const OfflineTraining::Rows& rows, size_t begin, size_t end);

// The first answers of all rows, then the other ones; the answers of a row share their picture.
absl::StatusOr<std::vector<Sequence>> PairSequences(const Corpus& corpus, const OfflineTraining::Rows& rows,
                                                    FirstAnswerFn first);

std::vector<const Sequence*> Pointers(const std::vector<Sequence>& sequences);

// `values` [N, ...] of all response tokens, end to end -> float64 [sequences, ...].
at::Tensor SumsBySequence(const at::Tensor& values, const std::vector<Sequence>& sequences);

// float32 [N] on any device.
std::vector<float> ToVector(const at::Tensor& values);

}  // namespace rein::training
