// swap: another reward or cost scorer in a running job.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/coordinator_client.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

// Start, load, canary and the wait for the boundary have bounds of their own at the coordinator.
constexpr absl::Duration kTimeout = absl::Hours(1);

struct Swap {
  Target target;
  std::string role, name, model, scorer;
};

absl::StatusOr<v1::SwapRequest> MakeRequest(const Swap& swap) {
  v1::SwapRequest request;
  request.set_role(swap.role);
  request.set_name(swap.name);
  if (!swap.scorer.empty()) {
    request.set_address(swap.scorer);
    return request;
  }
  const fs::path model = fs::absolute(swap.model).lexically_normal();
  if (!fs::is_directory(model)) {
    return absl::NotFoundError(absl::StrCat("no model folder at ", model.string()));
  }
  request.set_model(model.string());
  return request;
}

std::string StageWord(v1::SwapStage stage) {
  const std::string word = absl::AsciiStrToLower(v1::SwapStage_Name(stage));
  return std::string(absl::StripPrefix(word, "swap_"));
}

absl::Status Run(const Swap& swap) {
  REIN_ASSIGN_OR_RETURN(const v1::SwapRequest request, MakeRequest(swap));
  REIN_ASSIGN_OR_RETURN(const CoordinatorClient client, CoordinatorClient::Open(swap.target));
  grpc::ClientContext context;
  client.peer().Prepare(context, kTimeout);
  const auto stream = client.stub().Swap(&context, request);
  v1::SwapProgress progress;
  while (stream->Read(&progress)) {
    printf("%s: %s\n", StageWord(progress.stage()).c_str(), progress.message().c_str());
    fflush(stdout);
  }
  REIN_RETURN_IF_ERROR(transport::FinishStatus(client.peer(), stream->Finish()));
  if (progress.stage() == v1::SWAP_DONE) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("the new scorer did not take over, the old one goes on",
                                         progress.message().empty() ? "" : ": ", progress.message()));
}

}  // namespace

void AddSwapCommand(CLI::App& rein, Action& action) {
  auto swap = std::make_shared<Swap>();
  CLI::App* verb = rein.add_subcommand("swap", "Put another reward or cost scorer into a running job");
  verb->add_option("role", swap->role, "reward or cost")
      ->required()
      ->check(CLI::IsMember({"reward", "cost"}));
  verb->add_option("--name", swap->name, "which cost, by constraint; not needed where there is one");
  CLI::Option* model =
      verb->add_option("--model", swap->model, "model folder of the new scorer")->type_name("DIR");
  CLI::Option* scorer =
      verb->add_option("--scorer", swap->scorer, "address of an external scorer")->type_name("HOST:PORT");
  model->excludes(scorer);
  AddTargetFlags(*verb, swap->target);
  verb->footer("Returns when the new scorer has taken over (exit status 0) or the old one goes on (1).");
  verb->callback([swap, &action] {
    if (swap->model.empty() && swap->scorer.empty())
      throw CLI::RequiredError("--model DIR or --scorer HOST:PORT");
    action = [swap] { return Run(*swap); };
  });
}

}  // namespace rein::cli
