// What every image processor shares: checks, settings, and levels in planes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/image.h"
#include "models/image/any_resolution.h"
#include "models/image/resample.h"
#include "models/json.h"

namespace rein::models {

// Errors: INVALID_ARGUMENT (empty, too large, or with a wrong number of bytes).
absl::Status CheckImage(const data::RgbImage& image);

// Settings must not turn a picture into more than 2^28 numbers, 1 GiB: asked before they are allocated.
// Errors: INVALID_ARGUMENT.
absl::Status CheckValues(const data::RgbImage& image, int64_t values);

// "image_processor_type" (or "feature_extractor_type") must be one of `types`, with or without transformers'
// endings "Fast" and "Pil", or be missing. Errors: INVALID_ARGUMENT, UNIMPLEMENTED.
absl::Status CheckProcessorType(const Fields& fields, absl::Span<const char* const> types);

// "resample". Errors: INVALID_ARGUMENT, UNIMPLEMENTED.
absl::StatusOr<Resample> ParseResample(const Fields& fields, Resample fallback);

// What levels 0 to 255 of each channel become, (level * factor - mean) / deviation: float32 [3, 256]. Reads
// do_rescale, rescale_factor, do_normalize, image_mean and image_std. Errors: INVALID_ARGUMENT.
absl::StatusOr<at::Tensor> ParseNormalization(const Fields& fields, const std::vector<double>& mean,
                                              const std::vector<double>& deviation);

// `image` with its corner at (left, top) of a black picture of `size`, into which it must fit.
data::RgbImage Paste(const data::RgbImage& image, Resolution size, int64_t left, int64_t top);

// `window` of `image` as three planes, red first: [3, window.rows, window.columns].
void WritePlanes(const data::RgbImage& image, const Window& window, uint8_t* planes);

// OpenAI's CLIP, which most families took over.
inline const std::vector<double> kClipMean = {0.48145466, 0.4578275, 0.40821073};
inline const std::vector<double> kClipDeviation = {0.26862954, 0.26130258, 0.27577711};

}  // namespace rein::models
