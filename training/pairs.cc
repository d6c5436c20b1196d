#include "training/pairs.h"

#include <ATen/ATen.h>

#include "base/status.h"

namespace rein::training {

int MoreHelpfulAnswer(const CorpusRow& row) { return row.more_helpful; }
int SaferAnswer(const CorpusRow& row) { return row.safer; }
int LessSafeAnswer(const CorpusRow& row) { return 1 - row.safer; }

std::vector<int64_t> PairTokens(const OfflineTraining::Rows& rows) {
  std::vector<int64_t> tokens;
  for (const CorpusRow* row : rows) {
    tokens.push_back(
        static_cast<int64_t>(2 * row->prompt.size() + row->responses[0].size() + row->responses[1].size()));
  }
  return tokens;
}

std::vector<int64_t> FirstAnswerTokens(const OfflineTraining::Rows& rows) {
  std::vector<int64_t> tokens;
  for (const CorpusRow* row : rows)
    tokens.push_back(static_cast<int64_t>(row->prompt.size() + row->responses[0].size()));
  return tokens;
}

OfflineTraining::Rows Slice(const OfflineTraining::Rows& rows, size_t begin, size_t end) {
  return {rows.begin() + static_cast<int64_t>(begin), rows.begin() + static_cast<int64_t>(end)};
}

absl::StatusOr<std::vector<Sequence>> PairSequences(const Corpus& corpus, const OfflineTraining::Rows& rows,
                                                    FirstAnswerFn first) {
  std::vector<Sequence> sequences;
  sequences.reserve(2 * rows.size());
  for (const bool is_first : {true, false}) {
    for (const CorpusRow* row : rows) {
      const int answer = is_first ? first(*row) : 1 - first(*row);
      REIN_ASSIGN_OR_RETURN(sequences.emplace_back(), corpus.SequenceOf(*row, answer));
    }
  }
  return sequences;
}

std::vector<const Sequence*> Pointers(const std::vector<Sequence>& sequences) {
  std::vector<const Sequence*> pointers;
  for (const Sequence& sequence : sequences) pointers.push_back(&sequence);
  return pointers;
}

at::Tensor SumsBySequence(const at::Tensor& values, const std::vector<Sequence>& sequences) {
  std::vector<int64_t> lengths;
  for (const Sequence& sequence : sequences)
    lengths.push_back(static_cast<int64_t>(sequence.response.size()));
  std::vector<at::Tensor> sums;
  for (const at::Tensor& answer : values.split_with_sizes(lengths))
    sums.push_back(answer.sum(0, /*keepdim=*/false, at::kDouble));
  return at::stack(sums);
}

std::vector<float> ToVector(const at::Tensor& values) {
  const at::Tensor host = values.detach().to(at::kCPU).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

}  // namespace rein::training
