// An evaluation of pairs as files that need nothing else to be looked at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "evaluation/summary.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

struct PairReport {
  std::string ours, base;  // names of the models
  nlohmann::json judge;    // Judge::ToJson
  std::map<std::string, int64_t> dropped_ours, dropped_base;
  evaluation::PairedAnswers answers;
  std::vector<evaluation::JudgedPair> judged;  // one a pair
  evaluation::PairSummary summary;
  evaluation::BootstrapOptions bootstrap;
  std::filesystem::path images;  // folder of the pictures
  size_t examples = 24;          // pairs shown in full

  bool synthetic() const { return judge.value("synthetic", false); }
};

// Every pair with its verdicts, the counts and the estimates.
nlohmann::json PairJson(const PairReport& report);
std::string PairMarkdown(const PairReport& report);
std::string PairHtml(const PairReport& report);

// Pairs to show: of each combination of outcomes the first ones, in turn.
std::vector<size_t> ChooseExamples(const std::vector<evaluation::JudgedPair>& judged, size_t count);

// Makes the folder and writes evaluation.json, .md and .html, the last one last. Errors: those of writing.
absl::Status WritePairReport(const PairReport& report, const std::filesystem::path& folder);

}  // namespace rein::cli
