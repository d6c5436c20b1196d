// The services of fake actors, each as small as the protocol allows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/fakes/life.h"
#include "grpcpp/grpcpp.h"

namespace rein::coordinator::fakes {

// All services that an actor of this role answers; `life` outlives them.
std::vector<std::unique_ptr<grpc::Service>> MakeServices(const std::string& role, Life* life);

// Only Describe and Score: an external scorer, which registers with nobody.
std::unique_ptr<grpc::Service> MakeScorerService(Life* life);

}  // namespace rein::coordinator::fakes
