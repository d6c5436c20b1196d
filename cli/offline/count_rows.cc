#include "cli/offline/count_rows.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/data/data_summary.h"
#include "data/row_reader.h"

namespace rein::cli {

absl::StatusOr<int64_t> CountRows(const std::string& path, const data::ReadOptions& options, int64_t limit) {
  REIN_ASSIGN_OR_RETURN(data::RowReader reader, data::RowReader::Open(path, options));
  while (limit == 0 || reader.report().kept < limit) {
    REIN_ASSIGN_OR_RETURN(const std::optional<data::Row> row, reader.Next());
    if (!row) break;
  }
  if (reader.report().kept > 0) return reader.report().kept;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": none of its rows can be used: ", CountsText(reader.report())));
}

}  // namespace rein::cli
