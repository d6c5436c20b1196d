// Reward and cost: one scalar a sample.
#pragma once

#include <memory>

#include "actors/host/host.h"
#include "actors/host/role.h"

namespace rein::scorer {

// Serves both roles; what the number means is the coordinator's business.
std::unique_ptr<host::Role> MakeRole(host::Host& host);

}  // namespace rein::scorer
