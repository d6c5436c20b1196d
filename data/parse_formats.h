// Records of each format as rows without their pictures. Not for other folders.
#pragma once

#include <vector>

#include "data/fields.h"
#include "data/read_options.h"
#include "data/read_report.h"
#include "data/row.h"

namespace rein::data {

// The rows of one record, several only for conversations of which every exchange is one. What drops the
// record is in `fields` afterwards. `pictures`: how many the record has.
std::vector<Row> ParseFields(Format format, const ReadOptions& options, size_t pictures, Fields& fields,
                             ReadReport& report);

}  // namespace rein::data
