// The policy: trains, publishes its weights, keeps them on disk.
#pragma once

#include <memory>

#include "actors/host/host.h"
#include "actors/host/role.h"

namespace rein::policy {

std::unique_ptr<host::Role> MakeRole(host::Host& host);

}  // namespace rein::policy
