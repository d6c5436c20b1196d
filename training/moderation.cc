#include "training/moderation.h"

#include "base/status.h"

namespace rein::training {
namespace {

guard::Label AnswerLabel(const CorpusRow& row, int answer) {
  switch (row.harmlessness[answer]) {
    case data::Harmlessness::kRated:
      return guard::RatedAnswerLabel(row.harmless_rate[answer], row.category);
    case data::Harmlessness::kLabelled:
      return guard::LabelledAnswerLabel(row.is_safe[answer], row.category);
    case data::Harmlessness::kUnknown:
      break;
  }
  return {};
}

}  // namespace

std::vector<ModerationExample> ExamplesOf(const std::vector<const CorpusRow*>& rows) {
  std::vector<ModerationExample> examples;
  for (size_t i = 0; i < rows.size(); ++i) {
    const CorpusRow& row = *rows[i];
    for (int answer = -1; answer < 2; ++answer) {
      const guard::Label label =
          answer < 0 ? guard::QuestionLabel(row.severity, row.category) : AnswerLabel(row, answer);
      if (label.severity_known()) examples.push_back({&row, i, answer, label});
    }
  }
  return examples;
}

int64_t TokensOf(const ModerationExample& example) {
  const size_t response = example.is_answer() ? example.row->responses[example.answer].size() : 0;
  return static_cast<int64_t>(example.row->prompt.size() + response);
}

absl::StatusOr<std::vector<Sequence>> SequencesOf(const Corpus& corpus,
                                                  const std::vector<ModerationExample>& examples) {
  std::vector<Sequence> sequences;
  for (size_t i = 0; i < examples.size(); ++i) {
    const ModerationExample& example = examples[i];
    // Examples of a row share its pictures.
    if (i > 0 && examples[i - 1].row == example.row) {
      sequences.push_back(sequences.back());
    } else {
      REIN_ASSIGN_OR_RETURN(sequences.emplace_back(), corpus.SequenceOf(*example.row, 0));
    }
    sequences.back().response =
        example.is_answer() ? example.row->responses[example.answer] : std::vector<int32_t>();
  }
  return sequences;
}

std::vector<guard::Label> LabelsOf(const std::vector<ModerationExample>& examples) {
  std::vector<guard::Label> labels;
  for (const ModerationExample& example : examples) labels.push_back(example.label);
  return labels;
}

ModerationCounts CountExamples(const std::vector<ModerationExample>& examples) {
  ModerationCounts counts;
  for (const ModerationExample& example : examples) {
    ++(example.is_answer() ? counts.answers : counts.questions);
    if (!example.label.level_known()) ++counts.unsafe_without_rate;
    if (!example.label.categories_known) ++counts.harmful_without_category;
  }
  return counts;
}

}  // namespace rein::training
