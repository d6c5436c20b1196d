// Helps tests: a job file that passes every check.
#pragma once

#include <string>

#include "cli/test_folder.h"

namespace rein::cli {

// job.yaml with model folders and data that are there, but empty.
inline std::filesystem::path WriteTestJob(const TestFolder& folder, const std::string& name = "job.yaml") {
  for (const char* model : {"sft", "reward", "cost"}) {
    folder.Write(std::string("models/") + model + "/config.json", "{}");
  }
  folder.Write("prompts.parquet", "");
  return folder.Write(name, R"(name: tiny
steps: 4
data: {prompts: prompts.parquet, prompts_per_step: 4, samples_per_prompt: 2}
constraints: [{name: cost, threshold: 0, window: 16}]
actors:
  - {role: policy, model: models/sft}
  - {role: reward, model: models/reward}
  - {role: cost, model: models/cost}
limits: {max_restarts: 2}
)");
}

}  // namespace rein::cli
