// The stages of a training step, by who works in them: what the coordinator keeps awake (ActorSpec.offload),
// and what a memory plan counts together.
#pragma once

#include <string>

namespace rein::transport {

enum class Stage {
  kSampling,    // generation and scoring, of training and of evaluation
  kTraining,    // of policy and critics, and their states on disk
  kPublishing,  // of the policy's weights
};
inline constexpr Stage kStages[] = {Stage::kSampling, Stage::kTraining, Stage::kPublishing};

// Whether actors of that role have work in the stage.
bool WorksIn(Stage stage, const std::string& role);

// "sampling", "training", "publishing".
std::string ToString(Stage stage);

}  // namespace rein::transport
