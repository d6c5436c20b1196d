// From the job's optimizer and adapter settings to the trainers'.
#pragma once

#include <cstdint>

#include "models/lora.h"
#include "rein/v1/job.pb.h"
#include "training/optimizer.h"

namespace rein::host {

training::OptimizerOptions ToOptimizerOptions(const v1::Optimizer& optimizer);
models::LoraOptions ToLoraOptions(const v1::Lora& lora, uint64_t seed);

}  // namespace rein::host
