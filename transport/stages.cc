#include "transport/stages.h"

namespace rein::transport {

bool WorksIn(Stage stage, const std::string& role) {
  switch (stage) {
    case Stage::kSampling:
      return role != "policy";  // critics give the values of samples
    case Stage::kTraining:
      return role == "policy" || role == "critic";
    case Stage::kPublishing:
      return role == "policy" || role == "rollout";
  }
  return true;
}

std::string ToString(Stage stage) {
  switch (stage) {
    case Stage::kSampling:
      return "sampling";
    case Stage::kTraining:
      return "training";
    case Stage::kPublishing:
      return "publishing";
  }
  return "";
}

}  // namespace rein::transport
