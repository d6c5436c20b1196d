// Which columns a job's samples need, and the rows that come out of a finished table.
#pragma once

#include <string>
#include <vector>

#include "coordinator/experience.h"
#include "coordinator/ledger.h"
#include "coordinator/scoring.h"
#include "coordinator/step_table.h"
#include "rein/v1/job.pb.h"

namespace rein::coordinator {

// For training: reference, reward, costs, values of the reward's critic and of the costs' critics, and the
// guard's verdict where the job has a guard.
std::vector<Column> TrainingColumns(const v1::Job& job);
// For evaluation: reward and costs.
std::vector<Column> EvaluationColumns(const v1::Job& job);

struct ClosedTable {
  std::vector<ScoredRow> rows;  // complete ones, in order
  std::vector<DroppedSample> dropped;
};
// `columns`: those that the table was filled by. Categories are left empty.
ClosedTable CloseTable(const std::vector<Column>& columns, std::vector<StepTable::Row> rows);

}  // namespace rein::coordinator
