// A value model that trains: one for the reward, one for every cost.
#pragma once

#include <memory>

#include "actors/host/host.h"
#include "actors/host/role.h"

namespace rein::critic {

std::unique_ptr<host::Role> MakeRole(host::Host& host);

}  // namespace rein::critic
