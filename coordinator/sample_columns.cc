#include "coordinator/sample_columns.h"

#include <utility>

#include "transport/job_file.h"

namespace rein::coordinator {
namespace {

using Kind = Column::Kind;

void Place(const Column& column, Cell cell, ScoredRow& row) {
  switch (column.kind) {
    case Kind::kReference:
      row.reference_logprobs = std::move(cell.values);
      return;
    case Kind::kReward:
      row.reward = cell.values.front();
      row.reward_digest = std::move(cell.digest);
      return;
    case Kind::kCost:
      row.costs.push_back(cell.values.front());
      row.cost_digests.push_back(std::move(cell.digest));
      return;
    case Kind::kValues:
      if (column.name == "reward") {
        row.reward_values = std::move(cell.values);
      } else {
        row.cost_values.push_back(std::move(cell.values));
      }
      return;
    case Kind::kGuard:
      return;  // what it held back is dropped already
  }
}

}  // namespace

std::vector<Column> EvaluationColumns(const v1::Job& job) {
  std::vector<Column> columns = {{Kind::kReward, ""}};
  for (const v1::Constraint& constraint : job.constraints())
    columns.push_back({Kind::kCost, constraint.name()});
  return columns;
}

std::vector<Column> TrainingColumns(const v1::Job& job) {
  std::vector<Column> columns = EvaluationColumns(job);
  columns.insert(columns.begin(), {Kind::kReference, ""});
  columns.push_back({Kind::kValues, "reward"});
  for (const v1::Constraint& constraint : job.constraints()) {
    columns.push_back({Kind::kValues, constraint.name()});
  }
  if (transport::FindActor(job, "guard") != nullptr) columns.push_back({Kind::kGuard, ""});
  return columns;
}

ClosedTable CloseTable(const std::vector<Column>& columns, std::vector<StepTable::Row> rows) {
  ClosedTable closed;
  for (StepTable::Row& row : rows) {
    if (!row.drop_reason.empty()) {
      closed.dropped.push_back({row.sample.sample_id(), row.drop_reason});
      continue;
    }
    ScoredRow& scored = closed.rows.emplace_back();
    scored.sample = std::move(row.sample);
    for (size_t i = 0; i < columns.size(); ++i) Place(columns[i], std::move(row.cells[i]), scored);
  }
  return closed;
}

}  // namespace rein::coordinator
