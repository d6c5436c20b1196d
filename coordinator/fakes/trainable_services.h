// Training, state and weights of fake actors.
#pragma once

#include <memory>

#include "coordinator/fakes/life.h"
#include "grpcpp/grpcpp.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::coordinator::fakes {

// `life` outlives all services.
std::unique_ptr<grpc::Service> MakePolicyService(Life* life);
std::unique_ptr<grpc::Service> MakeStateService(Life* life);
std::unique_ptr<grpc::Service> MakeWeightsService(Life* life);

// The half of the Critic service that trains.
class CriticTraining : public v1::Critic::Service {
 public:
  explicit CriticTraining(Life* life) : life_(life) {}
  grpc::Status Train(grpc::ServerContext* context,
                     grpc::ServerReaderWriter<v1::TrainProgress, v1::TrainCriticRequest>* stream) override;

 private:
  Life* const life_;
};

}  // namespace rein::coordinator::fakes
