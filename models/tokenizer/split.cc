#include "models/tokenizer/split.h"

#include <algorithm>
#include <map>

#include "base/status.h"

namespace rein::models {
namespace {

// Appends a span, or makes the last piece take it in.
void Push(Spans& pieces, const Span& span, bool join) {
  if (join && !pieces.empty()) {
    pieces.back().begin = std::min(pieces.back().begin, span.begin);
    pieces.back().end = std::max(pieces.back().end, span.end);
  } else {
    pieces.push_back({span.begin, span.end, false});
  }
}

// Pieces in the order of `spans`; a span is joined to the piece before it where `joins` says so.
template <typename Joins>
Spans Join(const Spans& spans, Joins joins) {
  Spans pieces;
  bool previous = false;
  for (const Span& span : spans) {
    Push(pieces, span, joins(span.match, previous));
    previous = span.match;
  }
  return pieces;
}

bool JoinsMatch(bool match, bool previous) { return match && !previous; }

}  // namespace

absl::StatusOr<SplitBehavior> ParseSplitBehavior(const Fields& component, const std::string& fallback) {
  static const auto& behaviors =
      *new std::map<std::string, SplitBehavior>{{"Isolated", SplitBehavior::kIsolated},
                                                {"Removed", SplitBehavior::kRemoved},
                                                {"Contiguous", SplitBehavior::kContiguous},
                                                {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
                                                {"MergedWithNext", SplitBehavior::kMergedWithNext}};
  REIN_ASSIGN_OR_RETURN(const std::string name, component.String("behavior", fallback));
  const auto found = behaviors.find(name);
  if (found != behaviors.end()) return found->second;
  return component.Unsupported("behavior", name,
                               "Isolated, Removed, Contiguous, MergedWithPrevious, MergedWithNext");
}

void ApplySplitBehavior(SplitBehavior behavior, Spans& spans) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      return;
    case SplitBehavior::kIsolated:
      for (Span& span : spans) span.match = false;
      return;
    case SplitBehavior::kContiguous:
      spans = Join(spans, [](bool match, bool previous) { return match == previous; });
      return;
    case SplitBehavior::kMergedWithPrevious:
      spans = Join(spans, JoinsMatch);
      return;
    case SplitBehavior::kMergedWithNext:
      std::reverse(spans.begin(), spans.end());
      spans = Join(spans, JoinsMatch);
      std::reverse(spans.begin(), spans.end());
      return;
  }
}

}  // namespace rein::models
