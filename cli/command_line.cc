#include "cli/command_line.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "cli/terminal.h"
#include "transport/nearest.h"

namespace rein::cli {
namespace {

constexpr char kAbout[] =
    "Rein: safe RLHF of vision-language models. Trains a policy so that helpfulness rises while a safety "
    "constraint holds.";
constexpr char kFooter[] =
    "Every verb has a --help of its own.\n"
    "Exit status: 0 done (run: the job finished); 1 failed (run: also stopped before its last step); 2 wrong "
    "use of the command line.";

std::vector<std::string> VerbNames(const CLI::App& rein) {
  std::vector<std::string> names;
  for (const CLI::App* verb : rein.get_subcommands({})) names.push_back(verb->get_name());
  return names;
}

bool IsVerb(const CLI::App& rein, const std::string& word) {
  const std::vector<std::string> names = VerbNames(rein);
  return std::find(names.begin(), names.end(), word) != names.end();
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(absl::StrCat("--", name));
  }
  return names;
}

// The verb that was being parsed, innermost; `rein` itself where there was none.
const CLI::App& Innermost(const CLI::App& app) {
  const std::vector<CLI::App*> parsed = const_cast<CLI::App&>(app).get_subcommands();
  return parsed.empty() ? app : Innermost(*parsed.front());
}

// CLI11 has its words for a flag that it does not know; ours tell the nearest.
std::string ParseMessage(const CLI::App& rein, const CLI::ParseError& error) {
  const CLI::App& verb = Innermost(rein);
  for (const std::string& word : verb.remaining()) {
    if (word.rfind("--", 0) != 0) continue;
    const std::string flag = word.substr(0, word.find('='));
    return absl::StrCat("unknown flag '", flag, "' of ", verb.get_name(),
                        transport::Suggestion(flag, FlagNames(verb)));
  }
  return error.what();
}

int ExitWithParseError(const CLI::App& rein, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return rein.exit(error);  // --help
  PrintError(ParseMessage(rein, error));
  const CLI::App& verb = Innermost(rein);
  const std::string name = &verb == &rein ? "rein" : absl::StrCat("rein ", verb.get_name());
  fprintf(stderr, "usage: %s --help\n", name.c_str());
  return kExitWrongUse;
}

absl::Status HandOverToSibling(const HandedOverVerb& to, int argc, const char* const* argv) {
  REIN_ASSIGN_OR_RETURN(const std::filesystem::path folder, ProgramFolder());
  return HandOver(folder, to.program, argc, argv);
}

bool IsNamed(const HandedOverVerb& other, int argc, const char* const* argv) {
  const std::vector<std::string> words = absl::StrSplit(other.verb, ' ');
  return argc > static_cast<int>(words.size()) && std::equal(words.begin(), words.end(), argv + 1);
}

// A verb below one that is another program's is in that program's help.
void AddToHelp(CLI::App& rein, const HandedOverVerb& other) {
  const std::vector<std::string> words = absl::StrSplit(other.verb, ' ');
  if (words.size() == 1) {
    rein.add_subcommand(words[0], other.about);
    return;
  }
  for (CLI::App* above : rein.get_subcommands({})) {
    if (above->get_name() == words[0]) above->add_subcommand(words[1], other.about);
  }
}

int ExitWith(const absl::Status& status) {
  if (status.ok()) return kExitDone;
  if (!status.message().empty()) PrintError(std::string(status.message()));
  return kExitFailed;
}

}  // namespace

int RunCommandLine(int argc, const char* const* argv, const std::vector<AddCommand>& commands,
                   absl::Span<const HandedOverVerb> handed_over) {
  CLI::App rein(kAbout, "rein");
  rein.footer(kFooter);
  Action action;
  for (const AddCommand& add : commands) add(rein, action);
  rein.require_subcommand(1);
  const std::string verb = argc > 1 ? argv[1] : "";
  for (const HandedOverVerb& other : handed_over) {
    if (IsNamed(other, argc, argv)) return ExitWith(HandOverToSibling(other, argc, argv));
    AddToHelp(rein, other);
  }
  if (!verb.empty() && verb[0] != '-' && !IsVerb(rein, verb)) {
    PrintError(absl::StrCat("unknown verb '", verb, "'", transport::Suggestion(verb, VerbNames(rein))));
    return kExitWrongUse;
  }
  try {
    rein.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExitWithParseError(rein, error);
  }
  return ExitWith(action());
}

}  // namespace rein::cli
