// Makes room on shared devices at the borders of stages (ActorSpec.offload).
#pragma once

#include "coordinator/fleet.h"
#include "coordinator/status_board.h"
#include "rein/v1/job.pb.h"
#include "transport/stages.h"

namespace rein::coordinator {

// Asks every actor that offloads and has no work in `stage` to release what it holds, and waits until they
// have: whoever works in the stage finds the room. One that cannot, be it that it is not there, is busy or
// has no place for its weights, keeps them; that is logged and changes no result. Nothing to ask: returns at
// once.
void MakeRoom(const v1::Job& job, Fleet& fleet, StatusBoard& board, transport::Stage stage);

}  // namespace rein::coordinator
