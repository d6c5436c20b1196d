// A scorer outside of Rein, as a user would write one, that misbehaves on demand: used by the system tests.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "rein/v1/scorer.grpc.pb.h"
#include "transport/server.h"
#include "transport/token.h"

namespace rein::system_test {
namespace {

constexpr absl::Duration kLate = absl::Seconds(3);
constexpr absl::Duration kLookForCaller = absl::Milliseconds(20);

struct Flags {
  std::string token_file, port_file, mode_file, digest = "external";
  int port = 0;
  bool inline_images = false;
};

// Until the time is over or the caller has gone.
void Hold(const grpc::ServerContext& context, absl::Duration time) {
  const absl::Time end = absl::Now() + time;
  const absl::Notification never;
  while (absl::Now() < end && !context.IsCancelled()) never.WaitForNotificationWithTimeout(kLookForCaller);
}

class ExternalScorer : public v1::Scorer::Service {
 public:
  explicit ExternalScorer(const Flags& flags) : flags_(flags) {}

  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeRequest*,
                        v1::DescribeResponse* response) override {
    response->set_name("external");
    response->set_digest(flags_.digest);
    response->set_input(v1::SCORER_INPUT_TEXT);
    response->set_images(flags_.inline_images ? v1::IMAGE_TRANSFER_INLINE : v1::IMAGE_TRANSFER_DIGEST);
    return grpc::Status::OK;
  }

  // good (also without a mode file): a number made of question and answer. nan: no number at all. half:
  // nothing for every sample number 1. late: after 3 s. silent: never. crash: the process ends. rename:
  // another digest with every answer.
  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override {
    const std::string mode = Mode();
    if (mode == "crash") _exit(1);
    if (mode == "silent") Hold(*context, absl::InfiniteDuration());
    if (mode == "late") Hold(*context, kLate);
    response->set_scorer_digest(flags_.digest);
    if (mode == "rename") response->set_scorer_digest(absl::StrCat(flags_.digest, "-", ++answers_));
    for (const v1::Sample& sample : request->samples()) {
      printf("asked for %s\n", sample.sample_id().c_str());
      Answer(mode, sample, *request, response);
    }
    fflush(stdout);
    return grpc::Status::OK;
  }

 private:
  std::string Mode() const {
    return std::string(absl::StripAsciiWhitespace(ReadFile(flags_.mode_file).value_or("good")));
  }

  void Answer(const std::string& mode, const v1::Sample& sample, const v1::ScoreRequest& request,
              v1::ScoreResponse* response) const {
    if (mode == "half" && absl::EndsWith(sample.sample_id(), "/1")) return;
    if (flags_.inline_images && !HasPictures(sample, request)) {
      v1::SampleError* error = response->add_errors();
      error->set_sample_id(sample.sample_id());
      error->set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
      error->set_message("its picture is not in the request");
      return;
    }
    // Never 0, which a lost score might turn into.
    const auto byte = static_cast<unsigned char>(Sha256Hex(sample.question() + sample.answer())[0]);
    v1::Score* score = response->add_scores();
    score->set_sample_id(sample.sample_id());
    score->set_value(mode == "nan" ? std::numeric_limits<float>::quiet_NaN()
                                   : (static_cast<float>(byte) - 64.5f) / 32.0f);
  }

  static bool HasPictures(const v1::Sample& sample, const v1::ScoreRequest& request) {
    for (const v1::ImageRef& image : sample.images()) {
      const auto found = request.inline_images().find(image.digest());
      if (found == request.inline_images().end() || Sha256Hex(found->second) != image.digest()) return false;
    }
    return true;
  }

  const Flags flags_;
  std::atomic<int> answers_ = 0;
};

absl::Status Serve(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const std::string token, transport::ReadToken(flags.token_file));
  ExternalScorer scorer(flags);
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<transport::Server> server,
                        transport::Server::Start({.port = flags.port, .token = token}, {&scorer}));
  server->SetServing(true);
  REIN_RETURN_IF_ERROR(WriteFileAtomically(flags.port_file, server->address()));
  while (true) pause();  // until a signal ends it
}

}  // namespace
}  // namespace rein::system_test

int main(int argc, char** argv) {
  CLI::App app("A scorer for tests.");
  rein::system_test::Flags flags;
  app.add_option("--token-file", flags.token_file, "the run folder's token")->required();
  app.add_option("--port-file", flags.port_file, "where its address is written")->required();
  app.add_option("--mode-file", flags.mode_file, "file with the mode, read at every request")->required();
  app.add_option("--port", flags.port, "0: any");
  app.add_option("--digest", flags.digest, "names it in ledger and checkpoints");
  app.add_flag("--inline-images", flags.inline_images, "ask for pictures inside the requests");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = rein::system_test::Serve(flags);
  fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
