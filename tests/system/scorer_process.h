// The external scorer of these tests as a process.
#pragma once

#include <memory>
#include <string>

#include "tests/system/world.h"

namespace rein::system_test {

class ScorerProcess {
 public:
  // Serves when the constructor returns, with the token of the run folder, which is made where there is none.
  // `digest` names scorer and files.
  ScorerProcess(const fs::path& run_folder, const std::string& digest, bool inline_images = false);

  const std::string& address() const { return address_; }
  // From its next request on; external_scorer.cc says which modes there are.
  void SetMode(const std::string& mode);
  // After its end: once more, at the same address.
  void StartAgain();
  Background& process() { return *process_; }
  // How often it was asked to score the sample since it was started.
  int TimesAsked(const std::string& sample_id) const;

 private:
  void Start(int port);

  fs::path run_folder_;
  fs::path files_;  // its own files begin with this
  std::string digest_;
  bool inline_images_;
  std::string address_;
  std::unique_ptr<Background> process_;
};

}  // namespace rein::system_test
