// version: what was built, and from what.
#include <sqlite3.h>

#include <cstdio>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "google/protobuf/stubs/common.h"
#include "grpcpp/grpcpp.h"

namespace rein::cli {
namespace {

std::string AbseilVersion() {
#ifdef ABSL_LTS_RELEASE_VERSION
  return absl::StrCat(ABSL_LTS_RELEASE_VERSION, ".", ABSL_LTS_RELEASE_PATCH_LEVEL);
#else
  return "head";
#endif
}

absl::Status PrintVersion() {
  const std::vector<std::vector<std::string>> rows = {
      {"rein", REIN_VERSION},
      {"source", *REIN_GIT == '\0' ? "unknown" : REIN_GIT},
      {"build", absl::StrCat(REIN_BUILD, ", ", REIN_OPTIONS)},
      {"compiler", __VERSION__},
      {"gRPC", grpc::Version()},
      {"Protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"Abseil", AbseilVersion()},
      {"SQLite", sqlite3_libversion()},
      {"LibTorch", REIN_TORCH},
  };
  printf("%s", FormatTable(rows).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddVersionCommand(CLI::App& rein, Action& action) {
  CLI::App* verb = rein.add_subcommand("version", "Show version, build options and libraries");
  verb->callback([&action] { action = PrintVersion; });
}

}  // namespace rein::cli
