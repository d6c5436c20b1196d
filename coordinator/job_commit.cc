// Commits, evaluations, and the policy that a job delivers.
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "coordinator/evaluation.h"
#include "coordinator/job.h"
#include "transport/job_file.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;

absl::Status FromError(const std::error_code& error, const fs::path& path) {
  return SystemError(error.value(), "cannot write", path);
}

// Adds the time of its life.
class SecondsInto {
 public:
  explicit SecondsInto(double& sum) : sum_(sum) {}
  ~SecondsInto() { sum_ += absl::ToDoubleSeconds(absl::Now() - started_); }

 private:
  double& sum_;
  const absl::Time started_ = absl::Now();
};

}  // namespace

absl::Status Job::Commit(bool must) {
  if (step_ == 0) return absl::FailedPreconditionError("no step is finished yet; there is nothing to commit");
  if (step_ == committed_) return absl::OkStatus();
  const SecondsInto seconds(between_steps_["checkpoint"]);
  board_.SetPhase(v1::JOB_CHECKPOINTING);
  const absl::Status status = WriteCheckpoint();
  if (!status.ok()) {
    checkpoints_->Abandon(step_);
    if (must || !absl::IsResourceExhausted(status)) return WithContext(status, "checkpoint");
    commit_due_ = true;
    RecordEvent("checkpoint failed", absl::StrCat(status.message(), "; tried again after the next step"));
    board_.Update([&](v1::JobStatus& shown) {
      shown.set_error(absl::StrCat("no checkpoint of step ", step_, ": ", status.message()));
    });
    return absl::OkStatus();
  }
  const bool recovered = std::exchange(commit_due_, false);
  committed_ = step_;
  since_ = {};
  board_.Update([&](v1::JobStatus& shown) {
    shown.set_committed_step(committed_);
    if (recovered) shown.clear_error();
  });
  RecordEvent("commit", absl::StrCat("step ", step_));
  return checkpoints_->Retain(
      {.keep_newest = job_.checkpoint().keep_newest(), .keep_every = job_.checkpoint().keep_every()});
}

absl::Status Job::WriteCheckpoint() {
  MakeRoom(transport::Stage::kTraining);
  REIN_ASSIGN_OR_RETURN(const fs::path folder, checkpoints_->Begin(step_));
  REIN_ASSIGN_OR_RETURN(std::vector<v1::SavedFile> files, training_->Save(folder, step_));
  return checkpoints_->Commit(MakeManifest(std::move(files)));
}

Manifest Job::MakeManifest(std::vector<v1::SavedFile> files) const {
  Manifest manifest;
  manifest.step = step_;
  manifest.epoch = epoch_;
  manifest.files = std::move(files);
  manifest.state = {
      {"constraints", constraints_->ToJson()}, {"cursor", cursor_}, {"scorers", ToJson(fleet_->scorers())}};
  manifest.job_yaml = transport::ToYaml(job_);
  Judge(manifest);
  return manifest;
}

void Job::Judge(Manifest& manifest) const {
  manifest.evaluated = evaluated_.has_value() && evaluated_->step == step_;
  if (manifest.evaluated) {
    manifest.meets_constraints = evaluated_->meets_constraints;
    manifest.reward_mean = evaluated_->reward_mean;
    return;
  }
  manifest.meets_constraints = since_.samples > 0;
  for (size_t c = 0; c < since_.signals.size(); ++c) {
    const double mean = since_.signals[c] / static_cast<double>(since_.samples);
    if (mean > constraints_->multiplier(c).threshold()) manifest.meets_constraints = false;
  }
  manifest.reward_mean = since_.samples == 0 ? 0 : since_.reward / static_cast<double>(since_.samples);
}

absl::Status Job::EvaluateIfDue(bool last) {
  if (!evaluation_.has_value() || files_->HasEvaluation(step_)) return absl::OkStatus();
  const int every = job_.evaluation().every();
  const bool due = step_ == 0 || last || (every > 0 && step_ % every == 0);
  return due ? EvaluateNow(step_) : absl::OkStatus();
}

absl::Status Job::EvaluateNow(int64_t step) {
  const SecondsInto seconds(between_steps_["evaluate"]);
  board_.SetPhase(v1::JOB_EVALUATING);
  MakeRoom(transport::Stage::kSampling);
  REIN_ASSIGN_OR_RETURN(const nlohmann::json evaluation, coordinator::Evaluate(*tools_, *evaluation_, step));
  for (const nlohmann::json& answer : evaluation["answers"]) {
    for (const nlohmann::json& digest : answer["images"]) REIN_RETURN_IF_ERROR(KeepPicture(digest));
  }
  evaluated_ = {.step = step, .meets_constraints = true, .reward_mean = evaluation["reward_mean"]};
  for (const auto& figures : evaluation["constraints"]) {
    if (figures["signal_mean"] > figures["threshold"]) evaluated_->meets_constraints = false;
  }
  return files_->WriteEvaluation(step, evaluation);
}

absl::Status Job::DeliverPolicy() {
  REIN_ASSIGN_OR_RETURN(const std::optional<Manifest> best, checkpoints_->Best());
  if (!best.has_value()) return absl::InternalError("a finished job has no checkpoint");
  if (best->step != step_ && evaluation_.has_value() && !files_->HasEvaluation(best->step)) {
    const v1::WeightVersion version = VersionAt(best->step);
    MakeRoom(transport::Stage::kTraining);
    REIN_RETURN_IF_ERROR(training_->Load(checkpoints_->FolderOf(best->step), best->files, version));
    MakeRoom(transport::Stage::kPublishing);
    REIN_RETURN_IF_ERROR(weights_->Publish(version));
    REIN_RETURN_IF_ERROR(EvaluateNow(best->step));
  }
  const fs::path policy = options_.run_dir / "policy";
  const fs::path partial = options_.run_dir / "policy.partial";
  const v1::ActorSpec* actor = transport::FindActor(job_, "policy");
  const fs::path saved = checkpoints_->FolderOf(best->step) / absl::StrCat("policy-", actor->name());
  std::error_code error;
  fs::remove_all(partial, error);
  fs::copy(saved / "model", partial, fs::copy_options::recursive, error);
  if (!error && fs::exists(saved / "adapter")) fs::copy(saved / "adapter", partial / "adapter", error);
  if (error) return FromError(error, partial);
  REIN_RETURN_IF_ERROR(WriteFileAtomically(partial / "step.txt", absl::StrCat(best->step, "\n")));
  fs::remove_all(policy, error);
  fs::rename(partial, policy, error);
  if (error) return FromError(error, policy);
  RecordEvent("policy", absl::StrCat("step ", best->step,
                                     best->meets_constraints ? ", the best that meets the constraints"
                                                             : ", the last; none meets the constraints"));
  return Fsync(options_.run_dir);
}

}  // namespace rein::coordinator
