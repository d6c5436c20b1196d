// pause, resume, checkpoint, stop.
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/coordinator_client.h"

namespace rein::cli {
namespace {

using Method = grpc::Status (v1::Coordinator::Stub::*)(grpc::ClientContext*, const v1::ControlRequest&,
                                                       v1::ControlResponse*);

// The answer may come at the end of the step that runs.
constexpr absl::Duration kTimeout = absl::Hours(1);

struct Control {
  Target target;
  std::string reason;
};

absl::Status Ask(const Control& control, Method method) {
  REIN_ASSIGN_OR_RETURN(const CoordinatorClient client, CoordinatorClient::Open(control.target));
  v1::ControlRequest request;
  request.set_reason(control.reason);
  REIN_ASSIGN_OR_RETURN(const v1::ControlResponse response, client.Call(method, request, kTimeout));
  printf("%s\n", response.message().c_str());
  return absl::OkStatus();
}

void AddControl(CLI::App& rein, Action& action, const char* name, const char* about, Method method) {
  auto control = std::make_shared<Control>();
  CLI::App* verb = rein.add_subcommand(name, about);
  AddTargetFlags(*verb, control->target);
  verb->add_option("--reason", control->reason, "why, for the log")->type_name("TEXT");
  verb->callback(
      [control, method, &action] { action = [control, method] { return Ask(*control, method); }; });
}

}  // namespace

void AddControlCommands(CLI::App& rein, Action& action) {
  using Stub = v1::Coordinator::Stub;
  AddControl(rein, action, "pause", "Hold a running job at its next step boundary", &Stub::Pause);
  AddControl(rein, action, "resume", "Let a paused job go on (an interrupted one: rein run --resume)",
             &Stub::Resume);
  AddControl(rein, action, "checkpoint", "Commit a checkpoint at the next step boundary", &Stub::Checkpoint);
  AddControl(rein, action, "stop", "Finish the step, commit, and end a running job", &Stub::Stop);
}

}  // namespace rein::cli
