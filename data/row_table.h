// Rows as an Arrow table in the BeaverTails-V schema. Not for other folders.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <memory>
#include <vector>

#include "data/row.h"

namespace rein::data {

// At most one picture and two answers a row; what a row does not say is null.
arrow::Result<std::shared_ptr<arrow::Table>> ToTable(const std::vector<Row>& rows);

}  // namespace rein::data
