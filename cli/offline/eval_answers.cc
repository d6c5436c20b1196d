// rein eval answers: a model's answers to a data set, as a file that evaluations read.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/hash.h"
#include "base/status.h"
#include "cli/count_progress.h"
#include "cli/data/data_summary.h"
#include "cli/data/read_flags.h"
#include "cli/offline/answer_writer.h"
#include "cli/offline/answering.h"
#include "cli/offline/count_rows.h"
#include "cli/offline/verbs.h"
#include "cli/terminal.h"
#include "data/row_reader.h"
#include "training/guard.h"

namespace rein::cli {
namespace {

using nlohmann::json;

constexpr int64_t kNamedProblems = 3;  // of each kind

struct Flags {
  std::string model, data, output, reward, cost;
  std::string dtype = "float32";
  ReadFlags reading;
  rollout::SamplingParams params = {.temperature = 0, .max_response_tokens = 0};
  int64_t prompts = 0, batch = 16;
};

// Changes when the folder's weights or settings are written anew.
absl::StatusOr<std::string> StateOf(const std::filesystem::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.is_regular_file(error)) continue;
    files.push_back(absl::StrCat(entry.path().filename().string(), " ", entry.file_size(error), " ",
                                 entry.last_write_time(error).time_since_epoch().count()));
  }
  if (error || files.empty())
    return absl::NotFoundError(absl::StrCat(folder.string(), ": not a model folder, or it is empty"));
  std::sort(files.begin(), files.end());
  return Sha256Hex(absl::StrJoin(files, "\n")).substr(0, 16);
}

absl::Status AddModel(const char* name, const std::string& folder, json& options) {
  options[name] = nullptr;
  if (folder.empty()) return absl::OkStatus();
  options[name] = std::filesystem::weakly_canonical(folder).string();
  REIN_ASSIGN_OR_RETURN(options[absl::StrCat("files of ", name)], StateOf(folder));
  return absl::OkStatus();
}

// What the answers depend on, apart from the data.
absl::StatusOr<json> OptionsOf(const Flags& flags) {
  const rollout::SamplingParams& params = flags.params;
  json options = {{"dtype", flags.dtype},  {"temperature", params.temperature},
                  {"top_p", params.top_p}, {"top_k", params.top_k},
                  {"seed", params.seed},   {"max_tokens", params.max_response_tokens}};
  REIN_RETURN_IF_ERROR(AddModel("model", flags.model, options));
  REIN_RETURN_IF_ERROR(AddModel("reward", flags.reward, options));
  REIN_RETURN_IF_ERROR(AddModel("cost", flags.cost, options));
  return options;
}

struct Models {
  ModelFolder policy;
  Scorers scorers;
};

absl::StatusOr<Models> LoadModels(const Flags& flags) {
  Models models;
  REIN_ASSIGN_OR_RETURN(models.policy, LoadModelFolder(flags.model, flags.dtype));
  REIN_ASSIGN_OR_RETURN(models.scorers, LoadScorers(flags.reward, flags.cost, flags.dtype));
  return models;
}

AskedQuestion QuestionOf(int64_t id, const data::Row& row) {
  return {.id = absl::StrCat("row ", id), .text = row.question, .pictures = row.pictures};
}

// Says which rows have problems, the first ones of each kind.
class ProblemNames {
 public:
  void Show(int64_t id, const data::Row& row, const ModelAnswer& answer) {
    for (const Problem& problem : answer.problems) {
      if (++shown_[problem.reason] > kNamedProblems) continue;
      const std::string path = row.pictures.empty() ? "" : row.pictures[0].path;
      fprintf(stderr, "%srow %lld%s: %s: %s\n", IsTerminal(stderr) ? "\r\x1b[K" : "",
              static_cast<long long>(id), path.empty() ? "" : absl::StrCat(" (", path, ")").c_str(),
              problem.reason.c_str(), problem.detail.c_str());
    }
  }

 private:
  std::map<std::string, int64_t> shown_;
};

// Answers rows of a data set in groups, so that memory does not grow with it.
class Answering {
 public:
  // All outlive it. `params` are those of the flags, with a length.
  Answering(const Models& models, const rollout::SamplingParams& params, AnswerWriter& writer)
      : models_(models), params_(params), writer_(writer) {}

  // Rows `first`, `first` + 1, ... of which the last at least is not written yet. A group is answered as a
  // whole and always the same, so that a run that goes on gives what an unbroken one would.
  absl::Status Answer(int64_t first, std::vector<data::Row> rows) {
    std::vector<ModelAnswer> answers(rows.size());
    std::vector<AskedQuestion> questions;
    std::vector<size_t> asked;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].pictures.size() > 1) {
        answers[i].problems.push_back({"several pictures", "answers have a place for one"});
        continue;
      }
      questions.push_back(QuestionOf(first + static_cast<int64_t>(i), rows[i]));
      asked.push_back(i);
    }
    REIN_ASSIGN_OR_RETURN(std::vector<ModelAnswer> answered,
                          AnswerQuestions(models_.policy, models_.scorers, questions, params_));
    for (size_t j = 0; j < asked.size(); ++j) answers[asked[j]] = std::move(answered[j]);
    const int64_t known = std::max<int64_t>(0, writer_.written() - first + 1);
    rows.erase(rows.begin(), rows.begin() + known);
    answers.erase(answers.begin(), answers.begin() + known);
    for (size_t i = 0; i < rows.size(); ++i)
      problems_.Show(first + known + static_cast<int64_t>(i), rows[i], answers[i]);
    return writer_.Add(rows, answers);
  }

 private:
  const Models& models_;
  const rollout::SamplingParams& params_;
  AnswerWriter& writer_;
  ProblemNames problems_;
};

absl::Status CheckWritten(const AnswerWriter& writer, const Flags& flags, int64_t rows) {
  if (writer.written() <= rows) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(flags.output, ": has ", writer.written(),
                                                    " rows already, more than the ", rows,
                                                    " that are asked for; name another --output"));
}

absl::StatusOr<data::ReadReport> AnswerRows(const Flags& flags, const data::ReadOptions& options, int64_t all,
                                            AnswerWriter& writer) {
  rollout::SamplingParams params = flags.params;
  Models models;
  if (writer.written() < all) {
    REIN_ASSIGN_OR_RETURN(models, LoadModels(flags));
    if (params.max_response_tokens <= 0) params.max_response_tokens = UsualAnswerTokens(*models.policy.model);
  }
  Answering answering(models, params, writer);
  CountProgressLine progress(std::cerr, IsTerminal(stderr), "answered", "questions", writer.written());
  REIN_ASSIGN_OR_RETURN(data::RowReader reader, data::RowReader::Open(flags.data, options));
  std::vector<data::Row> rows;
  for (int64_t id = 1; id <= all; ++id) {
    REIN_ASSIGN_OR_RETURN(std::optional<data::Row> row, reader.Next());
    if (!row) return absl::UnavailableError(absl::StrCat(flags.data, ": has changed while it was read"));
    if (id <= writer.written()) REIN_RETURN_IF_ERROR(writer.Check(id, *row));
    rows.push_back(*std::move(row));
    if (id % flags.batch != 0 && id != all) continue;
    const int64_t first = id + 1 - static_cast<int64_t>(rows.size());
    if (id > writer.written()) {
      REIN_RETURN_IF_ERROR(answering.Answer(first, std::move(rows)));
      progress.Show(id, all);
    }
    rows.clear();
  }
  return reader.report();
}

absl::Status Report(const Flags& flags, const AnswerWriter& writer, const data::ReadReport& data) {
  printf("%s: %lld answers, %lld of them cut at the longest length\n", flags.output.c_str(),
         static_cast<long long>(writer.answers()), static_cast<long long>(writer.cut()));
  for (const auto& [reason, count] : writer.problems())
    printf("%s: %lld\n", reason.c_str(), static_cast<long long>(count));
  if (!data.dropped.empty() || !data.noted.empty())
    printf("%s: %s\n", flags.data.c_str(), CountsText(data).c_str());
  if (writer.answers() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flags.data, ": none of its questions could be answered; the reasons are counted above"));
}

absl::Status Answer(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const data::ReadOptions options, ToReadOptions(flags.reading));
  REIN_ASSIGN_OR_RETURN(const int64_t all, CountRows(flags.data, options, flags.prompts));
  REIN_ASSIGN_OR_RETURN(const json depends_on, OptionsOf(flags));
  REIN_ASSIGN_OR_RETURN(AnswerWriter writer, AnswerWriter::Open(flags.output, depends_on));
  REIN_RETURN_IF_ERROR(CheckWritten(writer, flags, all));
  REIN_ASSIGN_OR_RETURN(const data::ReadReport report, AnswerRows(flags, options, all, writer));
  return Report(flags, writer, report);
}

void AddSamplingFlags(CLI::App& verb, Flags& flags) {
  verb.add_option("--dtype", flags.dtype, "of weights: float32 (default), bfloat16, float16");
  verb.add_option("--temperature", flags.params.temperature, "default 0: the likeliest token each time")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--max-tokens", flags.params.max_response_tokens,
                  "longest answer; default: 512, or half of what the model takes where that is less")
      ->check(CLI::PositiveNumber);
  verb.add_option("--seed", flags.params.seed, "of the random numbers; default 1");
  verb.add_option("--top-p", flags.params.top_p, "smallest set of tokens with this share; default 1: all")
      ->check(CLI::Range(0.0, 1.0));
  verb.add_option("--top-k", flags.params.top_k, "the likeliest tokens only; default 0: all")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--batch", flags.batch, "questions in memory and answered at a time; default 16")
      ->check(CLI::Range(1, 1024));
}

}  // namespace

void AddEvalAnswersVerb(CLI::App& eval, Action& action) {
  CLI::App* verb = eval.add_subcommand("answers", "Answer the questions of a data set with a model");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--model", flags->model, "model folder")->required();
  verb->add_option("--data", flags->data, "parquet, JSON or JSONL file, or folder of them")->required();
  verb->add_option("--output", flags->output,
                   "JSONL file of the answers; where it exists the run that began it goes on")
      ->required();
  verb->add_option("--reward", flags->reward, "reward model that scores each answer");
  verb->add_option("--cost", flags->cost, "cost model that scores each answer");
  verb->add_option("--prompts", flags->prompts, "rows from the beginning of the data; default: all")
      ->check(CLI::PositiveNumber);
  AddSamplingFlags(*verb, *flags);
  // Pictures are decoded here in any case, and what is broken keeps its row in the file.
  flags->reading.pictures = "none";
  AddReadFlags(*verb, flags->reading);
  verb->remove_option(verb->get_option("--pictures"));
  verb->callback(
      [&action, flags] { action = [flags] { return training::Guarded([&] { return Answer(*flags); }); }; });
}

}  // namespace rein::cli
