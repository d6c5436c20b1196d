// What the tests of this folder share.
#pragma once

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "models/safetensors.h"

namespace rein::models {

inline std::filesystem::path Fixture(const std::string& name) {
  return std::filesystem::path(REIN_SOURCE_DIR) / "tests" / "fixtures" / "models" / name;
}

// A folder of its own for the running test, gone afterwards.
class TestFolder {
 public:
  TestFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            absl::StrCat("rein-", getpid(), "-", test->test_suite_name(), "-", test->name(), "-", counter_++);
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  // A writable copy of a fixture folder.
  std::filesystem::path CopyOf(const std::string& fixture) const {
    std::filesystem::copy(Fixture(fixture), path_ / "model", std::filesystem::copy_options::recursive);
    return path_ / "model";
  }

 private:
  inline static int counter_ = 0;
  std::filesystem::path path_;
};

inline void Write(const std::filesystem::path& path, absl::string_view contents) {
  ASSERT_TRUE(WriteFileAtomically(path, contents).ok());
}

inline std::map<std::string, at::Tensor> ReadAsMap(const std::filesystem::path& path) {
  const auto tensors = ReadSafetensors(path);
  EXPECT_TRUE(tensors.ok()) << tensors.status();
  return tensors.ok() ? std::map<std::string, at::Tensor>(tensors->begin(), tensors->end())
                      : std::map<std::string, at::Tensor>();
}

// Largest absolute difference; infinite when the shapes differ.
inline double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  return a.numel() == 0 ? 0.0 : (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// Matches a Status or StatusOr with the code whose message holds every given text.
inline void ExpectError(const absl::Status& status, absl::StatusCode code,
                        std::initializer_list<std::string> texts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& text : texts) EXPECT_THAT(std::string(status.message()), testing::HasSubstr(text));
}

}  // namespace rein::models
