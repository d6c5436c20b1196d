// What policy and critic have in common: weights that train, their version, and their state on disk.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "actors/host/host.h"
#include "actors/host/train_steps.h"
#include "models/lora.h"
#include "models/vision_language_model.h"
#include "rein/v1/trainable.grpc.pb.h"
#include "training/optimizer.h"
#include "transport/request_memory.h"

namespace rein::host {

// The version is thread-safe; everything else belongs to the executor thread.
class Trainable {
 public:
  explicit Trainable(Host* host) : host_(host), steps_(host) {}
  virtual ~Trainable() = default;

  v1::WeightVersion version() const;
  TrainSteps& steps() { return steps_; }

  // Runs Train for a header and its batch, on the executor: refuses steps that do not follow the present
  // weights, and counts the version up when the step has succeeded. Errors: FAILED_PRECONDITION (the step
  // does not lead on from these weights), those of `step`.
  absl::StatusOr<training::Metrics> Step(const v1::TrainHeader& header,
                                         const std::function<absl::StatusOr<training::Metrics>()>& step);

  // Writes <folder>/<role>-<name>/ with model/, optimizer.safetensors and state.json; with adapters model/
  // holds the merged weights and adapter/ the adapters.
  absl::StatusOr<v1::SaveStateResponse> Save(const std::filesystem::path& folder);
  // Weights, adapters and moments.
  Releasable Held();
  // Reads it back; the state stays as it was after an error. Without a folder: the state that the job started
  // from.
  absl::Status Load(const v1::LoadStateRequest& request);

 protected:
  virtual models::VisionLanguageModel& model() = 0;
  virtual training::AdamW& optimizer() = 0;
  // The adapters that train in place of the weights, or null.
  virtual models::Lora* lora() = 0;
  // Loads the start model anew and makes a fresh optimizer.
  virtual absl::Status Restart() = 0;
  // The weights are others now: what was derived from them is void.
  virtual void WeightsChanged() {}

  void SetVersion(const v1::WeightVersion& version);

 private:
  std::filesystem::path Subfolder() const;
  absl::Status LoadFolder(const v1::LoadStateRequest& request);
  absl::Status LoadWeights(const std::filesystem::path& own);
  absl::Status LoadAdapters(const std::filesystem::path& own);

  Host* const host_;
  TrainSteps steps_;
  mutable absl::Mutex mutex_;
  v1::WeightVersion version_ ABSL_GUARDED_BY(mutex_);
};

// State.Save and State.Load of a Trainable.
class StateService : public v1::State::Service {
 public:
  StateService(Host* host, Trainable* trainable) : host_(host), trainable_(trainable) {}

  grpc::Status Save(grpc::ServerContext* context, const v1::SaveStateRequest* request,
                    v1::SaveStateResponse* response) override;
  grpc::Status Load(grpc::ServerContext* context, const v1::LoadStateRequest* request,
                    v1::LoadStateResponse* response) override;

 private:
  Host* const host_;
  Trainable* const trainable_;
  transport::RequestMemory<v1::SaveStateResponse> saves_;
};

}  // namespace rein::host
