// trace: one sample's life.
#include <cstdio>
#include <memory>

#include "base/status.h"
#include "cli/command.h"
#include "cli/control/trace.h"
#include "cli/coordinator_client.h"

namespace rein::cli {
namespace {

struct TraceFlags {
  Target target;
  std::string sample_id;
  bool json = false;
};

absl::Status Run(const TraceFlags& flags) {
  REIN_ASSIGN_OR_RETURN(const std::filesystem::path run_dir, FindRunDir(flags.target));
  REIN_ASSIGN_OR_RETURN(const nlohmann::ordered_json trace, TraceSample(run_dir, flags.sample_id));
  using Json = nlohmann::ordered_json;
  // Answers may hold half a character where they were cut.
  const std::string text =
      flags.json ? trace.dump(2, ' ', false, Json::error_handler_t::replace) + "\n" : TraceText(trace);
  printf("%s", text.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddTraceCommand(CLI::App& rein, Action& action) {
  auto flags = std::make_shared<TraceFlags>();
  CLI::App* verb = rein.add_subcommand("trace", "Tell one sample's life from the ledger");
  verb->add_option("id", flags->sample_id, "sample_id, e.g. from samples.jsonl")->required()->type_name("ID");
  verb->add_option("--run-dir", flags->target.run_dir,
                   "run folder; default: the newest one in ./runs whose run is going on")
      ->type_name("DIR");
  verb->add_flag("--json", flags->json,
                 "everything as JSON, with per-token columns where the job records them");
  verb->callback([flags, &action] { action = [flags] { return Run(*flags); }; });
}

}  // namespace rein::cli
