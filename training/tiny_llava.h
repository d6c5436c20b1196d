// For tests: a model folder of the LLaVA layout that loads in milliseconds, and rows to train it on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/preferences.h"
#include "models/vision_language_model.h"
#include "training/rl_trainer.h"

namespace rein::training {

// 256 bytes as tokens, then "<pad>", "</s>" and "<image>"; ids from 259 to 263 are past the tokenizer.
inline constexpr int32_t kTinyEnd = 257;
inline constexpr int32_t kTinyImage = 258;
inline constexpr int64_t kTinyVocabulary = 264;
inline constexpr int64_t kTinyPlaceholders = 4;

// A fresh, empty folder below the test's temporary folder.
std::filesystem::path FreshFolder(const std::string& name);

// Writes configuration, tokenizer and preprocessor, without weights.
void WriteTinyFolder(const std::filesystem::path& folder);

// A folder with random weights that LoadModel takes.
void WriteTinyModel(const std::filesystem::path& folder, uint64_t seed);

// A model with random weights.
std::unique_ptr<models::VisionLanguageModel> MakeTinyModel(const std::string& folder_name, uint64_t seed = 1);

// PNG of one colour, 8 x 8.
std::string TinyPng(uint8_t red, uint8_t green, uint8_t blue);

// Random pixels as the tiny model takes them.
std::shared_ptr<const models::ProcessedImage> TinyPicture(uint64_t seed);

// A sequence with a picture: `length` response tokens drawn from the bytes.
Sequence TinySequence(const std::string& id, uint64_t seed, size_t length,
                      std::shared_ptr<const models::ProcessedImage> picture);

// Copies of all tensors, and whether two such copies are equal bit for bit.
models::NamedTensors CopyTensors(const models::VisionLanguageModel& model);
bool SameTensors(const models::NamedTensors& a, const models::NamedTensors& b);

// bool [kTinyVocabulary]: bytes and the end token.
at::Tensor TinyAllowed();

}  // namespace rein::training
