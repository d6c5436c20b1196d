// For tests: a run folder that no run has written.
#pragma once

#include <filesystem>
#include <string>

namespace rein::report {

// A fresh, empty folder of the running test.
std::filesystem::path FreshFolder();

// `steps` steps of a job that learns to be helpful and safe, with a picture, evaluations of step 0 and
// `steps`, samples, outcome and the policy of the last step.
void WriteMadeUpRun(const std::filesystem::path& folder, int steps);

void Append(const std::filesystem::path& file, const std::string& text);

// The digest that names the picture of the run.
inline constexpr char kPictureDigest[] = "00ff00ff";

}  // namespace rein::report
