// Guard: a verdict on each question or answer.
#pragma once

#include <memory>

#include "actors/host/host.h"
#include "actors/host/role.h"

namespace rein::guard {

// Serves v1::Guard with a guard folder (`rein train guard`).
std::unique_ptr<host::Role> MakeRole(host::Host& host);

}  // namespace rein::guard
