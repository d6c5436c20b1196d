// The rollout: generates with its own copy of the policy and receives new weights for it.
#pragma once

#include <memory>

#include "actors/host/host.h"
#include "actors/host/role.h"

namespace rein::rollout {

std::unique_ptr<host::Role> MakeRole(host::Host& host);

}  // namespace rein::rollout
