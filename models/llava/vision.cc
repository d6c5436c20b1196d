#include "models/llava/vision.h"

#include <ATen/ATen.h>

#include <vector>

namespace rein::models {

LlavaVision::LlavaVision(const LlavaConfig& config, Parameters& parameters)
    : config_(config),
      tower_(config.vision, parameters),
      linear1_(parameters.AddLinear("multi_modal_projector.linear_1", config.text.hidden,
                                    config.vision.hidden * static_cast<int64_t>(config.feature_layers.size()),
                                    config.projector_bias, config.text.initializer_range)),
      linear2_(parameters.AddLinear("multi_modal_projector.linear_2", config.text.hidden, config.text.hidden,
                                    config.projector_bias, config.text.initializer_range)) {}

at::Tensor LlavaVision::Encode(const at::Tensor& pixels) const {
  const std::vector<at::Tensor> states = tower_.HiddenStates(pixels, config_.feature_layers);
  at::Tensor chosen = states.size() == 1 ? states[0] : at::cat(states, -1);
  if (!config_.keep_class_token) chosen = chosen.slice(1, 1);
  return Apply(linear2_, Activate(config_.projector_activation, Apply(linear1_, chosen)));
}

}  // namespace rein::models
