// status: what a job does now, or how it ended.
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/control/status_text.h"
#include "cli/coordinator_client.h"
#include "transport/job_file.h"

namespace rein::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr absl::Duration kLongestWatch = absl::Hours(24 * 30);
constexpr int kRedrawMs = 500;

struct StatusFlags {
  Target target;
  bool watch = false;
  bool json = false;
};

// Goes home and draws over what is there, so that nothing flickers.
void Redraw(const std::string& text) {
  std::string lines;
  for (const char c : text) lines += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
  printf("\x1b[H%s\x1b[J", lines.c_str());
}

void ShowWatched(const v1::JobStatus& status, bool json) {
  if (json) {
    printf("%s\n", transport::ToJson(status).c_str());
  } else if (IsTerminal(stdout)) {
    Redraw(StatusText(status, Paint(stdout)));
  } else {
    printf("%s\n", StatusLine(status).c_str());
  }
  fflush(stdout);
}

absl::Status Watch(const CoordinatorClient& client, bool json) {
  grpc::ClientContext context;
  client.peer().Prepare(context, kLongestWatch);
  v1::JobStatusRequest request;
  request.set_min_interval_ms(kRedrawMs);
  request.set_without_job(!json);
  const auto stream = client.stub().WatchStatus(&context, request);
  v1::JobStatus status;
  if (!json && IsTerminal(stdout)) printf("\x1b[2J");
  while (stream->Read(&status)) ShowWatched(status, json);
  const absl::Status end = transport::FinishStatus(client.peer(), stream->Finish());
  // A coordinator that has ended its job closes the stream one way or the other.
  const bool ended = status.phase() == v1::JOB_FINISHED || status.phase() == v1::JOB_STOPPING;
  return ended ? absl::OkStatus() : end;
}

absl::Status ShowOnce(const CoordinatorClient& client, bool json) {
  v1::JobStatusRequest request;
  request.set_without_job(!json);
  REIN_ASSIGN_OR_RETURN(const v1::JobStatus status,
                        client.Call(&v1::Coordinator::Stub::GetStatus, request, kTimeout));
  printf("%s\n", json ? transport::ToJson(status, true).c_str() : StatusText(status, Paint(stdout)).c_str());
  return absl::OkStatus();
}

// Nobody serves: the files still tell how the run stands, but a script that asks for a live status must see
// that there is none.
absl::Status ShowFiles(const StatusFlags& flags, const absl::Status& why) {
  if (flags.json || flags.target.run_dir.empty() || !flags.target.address.empty()) return why;
  const auto run_dir = FindRunDir(flags.target);
  if (!run_dir.ok()) return why;
  REIN_ASSIGN_OR_RETURN(const std::string text, FilesText(*run_dir));
  printf("%s", text.c_str());
  return absl::OkStatus();
}

absl::Status Run(const StatusFlags& flags) {
  const absl::StatusOr<CoordinatorClient> client = CoordinatorClient::Open(flags.target);
  if (!client.ok()) return ShowFiles(flags, client.status());
  const absl::Status status = flags.watch ? Watch(*client, flags.json) : ShowOnce(*client, flags.json);
  return absl::IsUnavailable(status) && !flags.watch ? ShowFiles(flags, status) : status;
}

}  // namespace

void AddStatusCommand(CLI::App& rein, Action& action) {
  auto flags = std::make_shared<StatusFlags>();
  CLI::App* verb = rein.add_subcommand("status", "Show what a job does, waits for and has reached");
  AddTargetFlags(*verb, flags->target);
  verb->add_flag("--watch", flags->watch, "follow the job until it ends");
  verb->add_flag("--json", flags->json, "rein.v1.JobStatus as JSON; with --watch one object a line");
  verb->callback([flags, &action] { action = [flags] { return Run(*flags); }; });
}

}  // namespace rein::cli
