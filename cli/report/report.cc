#include "cli/report/report.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/report/formats.h"

namespace rein::cli {

absl::Status WriteReport(const std::filesystem::path& run_dir) {
  REIN_ASSIGN_OR_RETURN(const report::RunRecord record, report::ReadRunRecord(run_dir));
  const report::Summary summary = report::SummaryOf(record);
  const std::vector<report::Chart> figures = report::FiguresOf(record);
  const std::string json =
      report::ReportJson(record, summary).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  REIN_RETURN_IF_ERROR(WriteFileAtomically(run_dir / "report.json", absl::StrCat(json, "\n")));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(run_dir / "report.md", report::MarkdownReport(record, summary)));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(run_dir / "report.svg", report::OverviewSvg(record, figures)));
  // Last: whoever waits for a finished run looks for this one.
  return WriteFileAtomically(run_dir / "report.html", report::HtmlReport(record, summary, figures));
}

void AddReportCommand(CLI::App& rein, Action& action) {
  CLI::App* verb = rein.add_subcommand("report", "Write report.html, .md, .json and .svg of a run");
  const auto run_dir = std::make_shared<std::string>();
  verb->add_option("--run-dir", *run_dir, "run folder")->required();
  verb->callback([&action, run_dir] {
    action = [run_dir]() -> absl::Status {
      REIN_RETURN_IF_ERROR(WriteReport(*run_dir));
      printf("%s\n", (std::filesystem::path(*run_dir) / "report.html").c_str());
      return absl::OkStatus();
    };
  });
}

}  // namespace rein::cli
