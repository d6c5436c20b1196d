// rein eval pairs: the answers of two models to the same questions, compared by a judge.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/count_progress.h"
#include "cli/evaluation/judge_flags.h"
#include "cli/evaluation/pair_report.h"
#include "cli/evaluation/pair_tables.h"
#include "cli/evaluation/verbs.h"
#include "cli/terminal.h"

namespace rein::cli {
namespace {

using evaluation::AnswerFile;
using evaluation::Judge;

struct Flags {
  std::string answers, base, output, images;
  std::string ours_name, base_name;
  JudgeFlags judging;
  size_t examples = 24;
};

// Of the file, where no name is given.
std::string NameOf(const std::string& name, const std::string& file) {
  return name.empty() ? std::filesystem::path(file).stem().string() : name;
}

absl::Status EvaluatePairs(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const AnswerFile ours, evaluation::ReadAnswers(flags.answers));
  REIN_ASSIGN_OR_RETURN(const AnswerFile base, evaluation::ReadAnswers(flags.base));
  PairReport report;
  REIN_ASSIGN_OR_RETURN(report.answers, evaluation::PairAnswers(ours, base));
  REIN_RETURN_IF_ERROR(MakeFolder(flags.output));
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<Judge> judge, MakeJudge(flags.judging, flags.output));
  report.ours = NameOf(flags.ours_name, flags.answers);
  report.base = NameOf(flags.base_name, flags.base);
  report.dropped_ours = ours.dropped;
  report.dropped_base = base.dropped;
  report.images = flags.images.empty() ? std::filesystem::absolute(flags.answers).parent_path()
                                       : std::filesystem::path(flags.images);
  report.examples = flags.examples;
  report.bootstrap = flags.judging.bootstrap;
  CountProgressLine progress(std::cerr, IsTerminal(stderr), "judged", "pairs");
  const evaluation::JudgingOptions options{
      .images = report.images, .progress = [&progress](size_t done, size_t all) {
        progress.Show(static_cast<int64_t>(done), static_cast<int64_t>(all));
      }};
  report.judged = JudgePairs(report.answers.pairs, *judge, options);
  report.summary = Summarise(report.answers.pairs, report.judged, report.bootstrap);
  report.judge = judge->ToJson();
  REIN_RETURN_IF_ERROR(WritePairReport(report, flags.output));
  printf("%s\n%s\n", PlainText(FactsOf(report), TablesOf(report)).c_str(),
         (std::filesystem::path(flags.output) / "evaluation.html").c_str());
  if (report.summary.all.judged > 0) return absl::OkStatus();
  return absl::UnavailableError("no pair was judged in both orders; the reasons are counted above");
}

}  // namespace

void AddPairsVerb(CLI::App& eval, Action& action) {
  CLI::App* verb = eval.add_subcommand("pairs", "Compare the answers of two models to the same questions");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--answers", flags->answers, "JSONL file of answers (docs/evaluation.md)")->required();
  verb->add_option("--base", flags->base, "JSONL file of the answers of the model to compare with")
      ->required();
  verb->add_option("--output", flags->output, "folder for evaluation.json, .md and .html")->required();
  verb->add_option("--images", flags->images, "folder of the pictures; default: that of --answers");
  verb->add_option("--name", flags->ours_name, "of the model; default: the name of its file");
  verb->add_option("--base-name", flags->base_name, "of the base model; default: the name of its file");
  AddJudgeFlags(*verb, flags->judging);
  verb->add_option("--reward-margin", flags->judging.reward_margin,
                   "scores: rewards this close are a tie; default 0")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--cost-margin", flags->judging.cost_margin,
                   "scores: costs this close are a tie; default 0")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--examples", flags->examples, "pairs shown in full; default 24");
  verb->callback([&action, flags] { action = [flags] { return EvaluatePairs(*flags); }; });
}

}  // namespace rein::cli
