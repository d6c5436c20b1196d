// For tests: small data sets of the BeaverTails-V schema.
#pragma once

#include <filesystem>
#include <string>

#include "data/preferences.h"
#include "training/tiny_llava.h"

namespace rein::training {

// Pictures of one colour; the answer that is more helpful and less safe names it, the other one says "no".
data::PreferenceRow ColourRow(int i);
// The more helpful and less safe answer says "yes", and comes first or second.
data::PreferenceRow SeparableRow(int i);

// `count` rows as folder/name.
std::filesystem::path WriteRows(const std::filesystem::path& folder, const std::string& name, int count,
                                data::PreferenceRow (*make)(int));

// Options for a tiny model in folder/model, eight rows in folder/train.parquet, output folder/output.
template <typename Options>
Options TinyOptions(const std::filesystem::path& folder, data::PreferenceRow (*make)(int)) {
  WriteTinyModel(folder / "model", 1);
  Options options;
  options.model = folder / "model";
  options.data = WriteRows(folder, "train.parquet", 8, make);
  options.output = folder / "output";
  options.steps = 40;
  options.batch = 8;
  options.optimizer.learning_rate = 1e-2;
  options.optimizer.weight_decay = 0;
  return options;
}

}  // namespace rein::training
