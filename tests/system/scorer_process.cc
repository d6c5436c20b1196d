#include "tests/system/scorer_process.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "transport/token.h"

namespace rein::system_test {

ScorerProcess::ScorerProcess(const fs::path& run_folder, const std::string& digest, bool inline_images)
    : run_folder_(run_folder),
      files_(absl::StrCat(run_folder.string(), ".", digest)),
      digest_(digest),
      inline_images_(inline_images) {
  fs::create_directories(run_folder_);
  EXPECT_TRUE(transport::MakeToken(run_folder_ / "token").ok());
  SetMode("good");
  Start(0);
}

void ScorerProcess::SetMode(const std::string& mode) {
  EXPECT_TRUE(WriteFileAtomically(files_.string() + ".mode", mode).ok());
}

void ScorerProcess::StartAgain() {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address_.substr(address_.rfind(':') + 1), &port)) << address_;
  Start(port);
}

void ScorerProcess::Start(int port) {
  const fs::path port_file = files_.string() + ".address";
  fs::remove(port_file);
  std::vector<std::string> arguments = {REIN_TEST_SCORER,
                                        "--token-file",
                                        (run_folder_ / "token").string(),
                                        "--port-file",
                                        port_file.string(),
                                        "--mode-file",
                                        files_.string() + ".mode",
                                        "--digest",
                                        digest_,
                                        "--port",
                                        std::to_string(port)};
  if (inline_images_) arguments.push_back("--inline-images");
  process_ = std::make_unique<Background>(arguments, files_.string() + ".log");
  EXPECT_TRUE(WaitForFile(port_file, absl::Seconds(30))) << process_->Output();
  address_ = Bytes(port_file);
}

int ScorerProcess::TimesAsked(const std::string& sample_id) const {
  int times = 0;
  const std::string wanted = absl::StrCat("asked for ", sample_id);
  const std::string output = process_->Output();
  for (const auto line : absl::StrSplit(output, '\n')) times += line == wanted;
  return times;
}

}  // namespace rein::system_test
