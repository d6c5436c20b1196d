// Whom a call goes to.
#pragma once

#include <cstdint>
#include <string>

#include "rein/v1/common.pb.h"
#include "rein/v1/scorer.pb.h"
#include "transport/peer.h"

namespace rein::coordinator {

// A place in the job: role, name and number among its replicas. Who fills it may change (restart, swap).
struct Slot {
  std::string role;
  std::string name;
  int index = 0;
  auto operator<=>(const Slot&) const = default;
};
std::string ToString(const Slot& slot);  // "cost/harm/0"

// Who fills a slot now, configured and answering.
struct Target {
  v1::ActorAddress address;
  transport::Peer peer;
  uint64_t incarnation = 0;  // 0: an external scorer
  v1::ModelInfo model;
  v1::DescribeResponse scorer;  // reward and cost only
};

}  // namespace rein::coordinator
