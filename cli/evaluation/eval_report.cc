// rein eval report: the answers of models, each judged by itself.
#include <cstdio>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/count_progress.h"
#include "cli/evaluation/answer_report.h"
#include "cli/evaluation/judge_flags.h"
#include "cli/evaluation/verbs.h"
#include "cli/terminal.h"

namespace rein::cli {
namespace {

struct Flags {
  std::vector<std::string> answers;  // [NAME=]FILE
  std::string output, images;
  JudgeFlags judging;
  size_t examples = 24;
};

// A name has no slash, so that a path with "=" in it stays one.
std::pair<std::string, std::filesystem::path> NameAndFile(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || text.find('/') < equals)
    return {std::filesystem::path(text).stem().string(), text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

absl::StatusOr<ModelAnswers> ReadModel(const std::string& text, const Flags& flags) {
  const auto [name, file] = NameAndFile(text);
  REIN_ASSIGN_OR_RETURN(evaluation::AnswerFile read, evaluation::ReadAnswers(file));
  ModelAnswers model;
  model.name = name;
  model.rows = std::move(read.rows);
  model.dropped = std::move(read.dropped);
  model.images = flags.images.empty() ? std::filesystem::absolute(file).parent_path()
                                      : std::filesystem::path(flags.images);
  return model;
}

absl::Status CheckNames(const AnswerReport& report) {
  std::set<std::string> names;
  for (const ModelAnswers& model : report.models) {
    if (!names.insert(model.name).second)
      return absl::InvalidArgumentError(
          absl::StrCat("two models are called ", model.name, "; name them: --answers NAME=FILE"));
  }
  return absl::OkStatus();
}

void AssessModel(const evaluation::BootstrapOptions& bootstrap, evaluation::Judge& judge,
                 ModelAnswers& model) {
  CountProgressLine progress(std::cerr, IsTerminal(stderr), absl::StrCat(model.name, ": judged"), "answers");
  const evaluation::JudgingOptions options{
      .images = model.images, .progress = [&progress](size_t done, size_t all) {
        progress.Show(static_cast<int64_t>(done), static_cast<int64_t>(all));
      }};
  model.assessed = AssessAnswers(model.rows, judge, options);
  model.summary = Summarise(model.rows, model.assessed, bootstrap);
}

absl::Status CheckJudged(const AnswerReport& report) {
  for (const ModelAnswers& model : report.models) {
    if (model.summary.all.judged == 0)
      return absl::UnavailableError(
          absl::StrCat("no answer of ", model.name, " was judged; the reasons are counted above"));
  }
  return absl::OkStatus();
}

absl::Status EvaluateAnswers(const Flags& flags) {
  AnswerReport report;
  for (const std::string& text : flags.answers) {
    REIN_ASSIGN_OR_RETURN(report.models.emplace_back(), ReadModel(text, flags));
  }
  REIN_RETURN_IF_ERROR(CheckNames(report));
  REIN_RETURN_IF_ERROR(MakeFolder(flags.output));
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<evaluation::Judge> judge,
                        MakeJudge(flags.judging, flags.output));
  report.examples = flags.examples;
  report.bootstrap = flags.judging.bootstrap;
  for (ModelAnswers& model : report.models) AssessModel(report.bootstrap, *judge, model);
  report.judge = judge->ToJson();
  REIN_RETURN_IF_ERROR(WriteAnswerReport(report, flags.output));
  printf("%s\n%s\n", PlainText(FactsOf(report), TablesOf(report)).c_str(),
         (std::filesystem::path(flags.output) / "report.html").c_str());
  return CheckJudged(report);
}

}  // namespace

void AddReportVerb(CLI::App& eval, Action& action) {
  CLI::App* verb =
      eval.add_subcommand("report", "Judge the answers of one model, or of several, by themselves");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--answers", flags->answers,
                   "[NAME=]FILE, JSONL of answers (docs/evaluation.md); give it again for each model")
      ->required()
      ->allow_extra_args(false);
  verb->add_option("--output", flags->output, "folder for report.json, .md and .html")->required();
  verb->add_option("--images", flags->images, "folder of the pictures; default: that of each file");
  AddJudgeFlags(*verb, flags->judging);
  verb->add_option("--examples", flags->examples, "questions shown in full; default 24");
  verb->callback([&action, flags] { action = [flags] { return EvaluateAnswers(*flags); }; });
}

}  // namespace rein::cli
