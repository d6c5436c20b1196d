// The group of one publisher (rank 0) and its receivers, or of processes that train together, for one
// membership epoch, over c10d: Gloo between CPU processes, NCCL between GPUs.
//
// Life: 1. rank 0 serves a Rendezvous and tells its address to all (Weights.Prepare). 2. Every rank, rank 0
// too, calls JoinWeightGroup with it; the calls return when all have joined. 3. All ranks issue the same
// operations in the same order. 4. After any error the group is unusable for good: destroy it and join one of
// a new epoch.
//
// The store, Gloo and NCCL neither authenticate nor encrypt: the network they use must be trusted
// (docs/trusted-network.md). By default that is loopback.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace rein::collectives {

enum class GroupBackend { kGloo, kNccl };

// The key-value store through which the members of a group find each other. Serves until destroyed; must live
// as long as the group of rank 0.
class Rendezvous {
 public:
  virtual ~Rendezvous() = default;
  // host:port.
  virtual const std::string& address() const = 0;
};
// Listens on the IPv4 address `host`, on `port` or (0) on a free port. Errors: INVALID_ARGUMENT (not an IPv4
// address), UNAVAILABLE (cannot bind: says why).
absl::StatusOr<std::unique_ptr<Rendezvous>> ServeRendezvous(const std::string& host = "127.0.0.1",
                                                            int port = 0);

struct GroupOptions {
  GroupBackend backend = GroupBackend::kGloo;
  // host:port of the rendezvous.
  std::string store_address;
  // Address of this process that the others send to.
  std::string host = "127.0.0.1";
  // Of the group, in messages.
  std::string name = "weight group";
  // Membership epoch: groups of different epochs at one store do not see each other.
  uint64_t epoch = 0;
  int rank = 0;
  int world = 1;
  // Longest wait for all members to join, and for any one operation after that.
  absl::Duration timeout = absl::Seconds(30);
};

// A started operation. Its tensor stays alive and must not be touched until Wait has returned. One thread at
// a time.
class Transfer {
 public:
  virtual ~Transfer() = default;
  // Blocks, at most for the group's timeout. Errors: UNAVAILABLE (a member is gone, or the group was
  // aborted), DEADLINE_EXCEEDED (a member does not answer).
  virtual absl::Status Wait() = 0;
};

class WeightGroup {
 public:
  virtual ~WeightGroup() = default;

  virtual int rank() const = 0;
  virtual int world() const = 0;
  // Where tensors of operations must be: CPU for Gloo, the current GPU for NCCL.
  virtual at::Device device() const = 0;

  // Starts sending `tensor` from rank 0 to all others, who receive into theirs: contiguous, same dtype and
  // size on all ranks. Several may be in flight.
  virtual absl::StatusOr<std::unique_ptr<Transfer>> Broadcast(const at::Tensor& tensor) = 0;

  // Every rank's value, by rank. Blocks. Errors: as Transfer::Wait.
  virtual absl::StatusOr<std::vector<int64_t>> Gather(int64_t value) = 0;
  // The same of bytes, of which each rank may have another number.
  virtual absl::StatusOr<std::vector<std::string>> GatherBytes(absl::string_view bytes) = 0;

  // Adds up the tensors of all ranks, in place: contiguous, float32 or float64, of one dtype and size on all
  // ranks. The sum has the same bits on every rank, and again where the same tensors are added again. Blocks.
  // Errors: as Transfer::Wait.
  virtual absl::Status Sum(const at::Tensor& tensor) = 0;

  // Makes pending and later operations of this rank fail with UNAVAILABLE, and those of the others as soon as
  // they notice. Any thread.
  virtual void Abort() = 0;
};

// Errors: INVALID_ARGUMENT (bad options), DEADLINE_EXCEEDED (not all members came within the timeout),
// UNAVAILABLE (no store at that address, or a member went away), UNIMPLEMENTED (NCCL in a build without
// CUDA).
absl::StatusOr<std::unique_ptr<WeightGroup>> JoinWeightGroup(const GroupOptions& options);

}  // namespace rein::collectives
