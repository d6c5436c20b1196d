#include "data/row_parser.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "data/fields.h"
#include "data/formats.h"
#include "data/parse_formats.h"
#include "data/pictures.h"

namespace rein::data {
namespace {

constexpr char kContradiction[] = "rating contradicts the label";

// Returns why the row is dropped, or "".
std::string SettleContradiction(const ReadOptions& options, Response& response, ReadReport& report) {
  if (!response.is_safe || !response.harmless_rate || *response.is_safe == (*response.harmless_rate >= 0))
    return "";
  ++report.noted[kContradiction];
  switch (options.contradiction) {
    case Contradiction::kKeep:
      break;
    case Contradiction::kDrop:
      return kContradiction;
    case Contradiction::kTrustRating:
      response.is_safe = *response.harmless_rate >= 0;
      break;
    // The nearest rate that agrees.
    case Contradiction::kTrustLabel:
      response.harmless_rate = *response.is_safe ? 0 : -1;
      break;
  }
  return "";
}

// Label and rate of an answer, of which one may say the other.
std::string SettleResponse(const ReadOptions& options, Response& response, ReadReport& report) {
  if (response.is_safe && !response.harmless_rate) {
    response.harmless_rate = *response.is_safe ? options.safe_rate : options.unsafe_rate;
    if (response.harmless_rate) ++report.noted["rate taken from the label"];
  } else if (!response.is_safe && response.harmless_rate) {
    response.is_safe = *response.harmless_rate >= 0;
    ++report.noted["label taken from the rate"];
  }
  return SettleContradiction(options, response, report);
}

std::string Settle(const ReadOptions& options, Row& row, ReadReport& report) {
  if (absl::StripAsciiWhitespace(row.question).empty()) return "no question";
  if (row.responses.size() == 2 && row.responses[0].text == row.responses[1].text) return "equal responses";
  for (const Picture& picture : row.pictures) {
    if (std::string reason = CheckPicture(picture, options); !reason.empty()) return reason;
  }
  for (Response& response : row.responses) {
    if (std::string reason = SettleResponse(options, response, report); !reason.empty()) return reason;
  }
  return "";
}

}  // namespace

absl::StatusOr<RowParser> RowParser::Make(const std::filesystem::path& file, const ReadOptions& options) {
  RowParser parser(file, &options);
  REIN_ASSIGN_OR_RETURN(const std::vector<std::string> found, ColumnsOf(file));
  // JSON without a record; an empty parquet file still has its columns.
  if (found.empty()) return parser;
  const absl::StatusOr<Format> format = RecogniseFormat(found, options);
  if (!format.ok()) return BadFile(file, format.status().message());
  parser.format_ = *format;
  parser.columns_ = UsedColumns(*format, found, options.columns);
  parser.benchmark_ = BenchmarkOf(*format);
  if (parser.benchmark_ == nullptr) return parser;
  parser.benchmark_options_ = options;
  parser.benchmark_options_.columns.clear();
  if (options.images.empty()) parser.benchmark_options_.images = parser.benchmark_->images(file);
  return parser;
}

void RowParser::Parse(Record& record, ReadReport& report, std::vector<Row>& rows) const {
  if (!record.problem.empty()) {
    ++report.rows;
    ++report.dropped[record.problem];
  } else if (benchmark_ != nullptr) {
    for (nlohmann::json& row : benchmark_->rows(file_, record.fields, options_->columns))
      ParseFieldsOf(row, benchmark_options_, report, rows);
  } else {
    ParseFieldsOf(record.fields, *options_, report, rows);
  }
}

void RowParser::ParseFieldsOf(nlohmann::json& record, const ReadOptions& options, ReadReport& report,
                              std::vector<Row>& rows) const {
  const auto drop = [&report](const std::string& reason) {
    ++report.rows;
    ++report.dropped[reason];
  };
  Fields fields(record, options.columns);
  std::vector<Picture> pictures = ReadPictures(file_, options, record, fields);
  std::vector<Row> parsed = ParseFields(format_, options, pictures.size(), fields, report);
  if (!fields.reason().empty()) return drop(fields.reason());
  for (Row& row : parsed) {
    if (&row != &parsed.back()) {
      row.pictures = pictures;
    } else {
      row.pictures.swap(pictures);
    }
    if (const std::string reason = Settle(options, row, report); !reason.empty()) {
      drop(reason);
      continue;
    }
    ++report.rows;
    rows.push_back(std::move(row));
  }
}

}  // namespace rein::data
