#include "cli/coordinator_client.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/run_files.h"
#include "transport/token.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kRuns[] = "runs";

absl::StatusOr<std::string> TokenFor(const Target& target) {
  if (!target.token_file.empty()) return transport::ReadToken(target.token_file);
  const absl::StatusOr<fs::path> run_dir = FindRunDir(target);
  if (run_dir.ok()) return transport::ReadToken(*run_dir / "token");
  return absl::NotFoundError(absl::StrCat(
      "calls to ", target.address, " need the run's token; add --token-file RUN/token or --run-dir RUN"));
}

absl::StatusOr<std::string> AddressOf(const fs::path& run_dir) {
  absl::StatusOr<std::string> address = ReadLine(run_dir / "coordinator.address");
  if (address.ok()) return address;
  const bool live = RunLock::Holder(run_dir).has_value();
  return absl::NotFoundError(
      absl::StrCat("no coordinator serves the run in ", run_dir.string(), ": ",
                   live ? "it is starting; try again in a moment"
                        : "it is not going on; go on with: rein run --run-dir DIR --resume"));
}

}  // namespace

void AddTargetFlags(CLI::App& verb, Target& target) {
  verb.add_option("--run-dir", target.run_dir,
                  "run folder; default: the newest one in ./runs whose run is going on")
      ->type_name("DIR");
  verb.add_option("--address", target.address, "address of the coordinator, instead of the run folder's")
      ->type_name("HOST:PORT");
  verb.add_option("--token-file", target.token_file, "file with the run's token; default: DIR/token")
      ->type_name("FILE");
}

absl::StatusOr<fs::path> FindRunDir(const Target& target) {
  if (target.run_dir.empty()) return FindLiveRun(kRuns);
  const fs::path run_dir = fs::absolute(target.run_dir).lexically_normal();
  if (fs::is_directory(run_dir)) return run_dir;
  return absl::NotFoundError(absl::StrCat("no run folder at ", run_dir.string()));
}

absl::StatusOr<CoordinatorClient> CoordinatorClient::Open(const Target& target) {
  if (target.address.empty()) {
    REIN_ASSIGN_OR_RETURN(const fs::path run_dir, FindRunDir(target));
    return OfRun(run_dir);
  }
  transport::PeerOptions options;
  REIN_ASSIGN_OR_RETURN(options.token, TokenFor(target));
  REIN_ASSIGN_OR_RETURN(transport::Peer peer, transport::Peer::Open(target.address, options));
  return CoordinatorClient(std::move(peer));
}

absl::StatusOr<CoordinatorClient> CoordinatorClient::OfRun(const fs::path& run_dir) {
  REIN_ASSIGN_OR_RETURN(const std::string address, AddressOf(run_dir));
  transport::PeerOptions options;
  REIN_ASSIGN_OR_RETURN(options.token, transport::ReadToken(run_dir / "token"));
  REIN_ASSIGN_OR_RETURN(transport::Peer peer, transport::Peer::Open(address, options));
  return CoordinatorClient(std::move(peer));
}

}  // namespace rein::cli
