#include "cli/report/page.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/escape.h"
#include "cli/report/page_style.h"

namespace rein::report {
namespace {

std::string Header(const PageHead& head) {
  std::string html = absl::StrCat("<header><h1>", EscapeMarkup(head.title), "</h1>");
  if (head.synthetic) absl::StrAppend(&html, "<span class=\"badge\">", kSyntheticLabel, "</span>");
  absl::StrAppend(&html, "</header>\n<ul class=\"facts\">\n");
  for (const auto& [name, value] : head.facts)
    absl::StrAppend(&html, "<li>", EscapeMarkup(name), " <b>", EscapeMarkup(value), "</b></li>\n");
  return html + "</ul>\n";
}

std::string HeadRow(const std::vector<std::string>& names) {
  std::string html = "<thead><tr>";
  for (const std::string& name : names)
    absl::StrAppend(&html, "<th scope=\"col\">", EscapeMarkup(name), "</th>");
  return html + "</tr></thead>\n<tbody>\n";
}

}  // namespace

std::string Page(const PageHead& head, const std::string& body, const std::string& footer) {
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      EscapeMarkup(head.title), " - Rein</title>\n<style>", ChartStyle(), kPageStyle,
      "</style>\n</head>\n<body>\n<main>\n", Header(head), body, "<footer>", footer,
      "</footer>\n</main>\n</body>\n</html>\n");
}

std::string Tile(const std::string& name, const std::string& value, const std::string& below) {
  return absl::StrCat("<div class=\"tile\"><span>", EscapeMarkup(name), "</span><strong>",
                      EscapeMarkup(value), "</strong><span>", EscapeMarkup(below), "</span></div>\n");
}

std::string Tiles(const std::string& tiles) {
  return tiles.empty() ? "" : absl::StrCat("<div class=\"tiles\">\n", tiles, "</div>\n");
}

std::string Section(const std::string& title, const std::string& body) {
  return body.empty() ? ""
                      : absl::StrCat("<section>\n<h2>", EscapeMarkup(title), "</h2>\n", body, "</section>\n");
}

std::string BodyRow(const std::vector<std::string>& cells) {
  std::string html = absl::StrCat("<tr><th scope=\"row\">", cells[0], "</th>");
  for (size_t i = 1; i < cells.size(); ++i) absl::StrAppend(&html, "<td>", cells[i], "</td>");
  return html + "</tr>\n";
}

std::string Table(const std::string& rows, const std::vector<std::string>& head, const char* kind) {
  if (rows.empty()) return "";
  return absl::StrCat("<div class=\"table ", kind, "\"><table>\n", HeadRow(head), rows,
                      "</tbody></table></div>\n");
}

std::string Charts(const std::vector<Chart>& figures) {
  std::string html;
  for (const Chart& chart : figures) {
    absl::StrAppendFormat(
        &html, "<figure><svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n%s</svg></figure>\n",
        kChartWidth, HeightOf(chart), EscapeMarkup(HeadOf(chart).title), RenderChart(chart));
  }
  return html.empty() ? "" : absl::StrCat("<div class=\"charts\">\n", html, "</div>\n");
}

std::string AnswerBox(const std::string& who, const std::string& answer, const std::string& verdict,
                      std::optional<bool> safe) {
  const char* kind = !safe ? "" : *safe ? " good" : " bad";
  const std::string text = answer.empty() ? "<i>(empty)</i>" : EscapeMarkup(answer);
  return absl::StrCat("<div class=\"answer", kind, "\"><small>", EscapeMarkup(who), "</small>", text,
                      "<small>", EscapeMarkup(verdict), "</small></div>\n");
}

std::string AnswerCard(const std::vector<std::string>& uris, const std::string& question,
                       const std::string& tag, const std::string& answers) {
  std::string pictures;
  for (const std::string& uri : uris)
    absl::StrAppend(&pictures, "<img alt=\"the picture asked about\" src=\"", uri, "\">\n");
  if (pictures.empty()) pictures = "<span class=\"none\">no picture</span>\n";
  return absl::StrCat("<div class=\"card\">\n", pictures, "<div><div class=\"question\">",
                      EscapeMarkup(question), "</div><div class=\"tag\">", EscapeMarkup(tag), "</div>\n",
                      answers, "</div></div>\n");
}

std::string CardGrid(const std::string& cards, bool small) {
  if (cards.empty()) return "";
  return absl::StrCat("<div class=\"answers", small ? " small" : "", "\">\n", cards, "</div>\n");
}

std::string Notes(const std::vector<std::string>& notes) {
  std::string html;
  for (const std::string& note : notes) absl::StrAppend(&html, "<li>", EscapeMarkup(note), "</li>\n");
  return html.empty() ? "" : absl::StrCat("<ul class=\"notes\">\n", html, "</ul>\n");
}

}  // namespace rein::report
