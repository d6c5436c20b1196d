// From the job's optimizer settings to the trainers'.
#pragma once

#include "rein/v1/job.pb.h"
#include "training/optimizer.h"

namespace rein::host {

training::OptimizerOptions ToOptimizerOptions(const v1::Optimizer& optimizer);

}  // namespace rein::host
