// The frozen start policy: log-probabilities of responses.
#pragma once

#include <memory>

#include "actors/host/host.h"
#include "actors/host/role.h"

namespace rein::reference {

std::unique_ptr<host::Role> MakeRole(host::Host& host);

}  // namespace rein::reference
