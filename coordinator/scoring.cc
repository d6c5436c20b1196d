#include "coordinator/scoring.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"
#include "coordinator/score_calls.h"

namespace rein::coordinator {
namespace {

constexpr absl::string_view kVerdict = "the guard finds it ";

// The actor may be fine again, or another one be there, a moment later; the samples are not to blame.
bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status) || absl::IsCancelled(status) ||
         absl::IsFailedPrecondition(status);
}

}  // namespace

std::string Column::role() const {
  switch (kind) {
    case Kind::kReference:
      return "reference";
    case Kind::kReward:
      return "reward";
    case Kind::kCost:
      return "cost";
    case Kind::kValues:
      return "critic";
    case Kind::kGuard:
      return "guard";
  }
  return "";
}

Scoring::Scoring(const v1::Job& job, Fleet* fleet, StatusBoard* board, StepTable* table,
                 std::vector<Column> columns, int64_t step, PictureFn pictures)
    : job_(job),
      fleet_(fleet),
      board_(board),
      table_(table),
      columns_(std::move(columns)),
      step_(step),
      pictures_(std::move(pictures)),
      batch_size_(static_cast<size_t>(job.limits().score_batch())),
      drop_at_(guard::ParseSeverity(job.guard().drop_at()).value_or(guard::Severity::kSevere)) {
  {
    absl::MutexLock lock(&mutex_);
    queues_.resize(columns_.size());
    digests_.resize(columns_.size());
    for (size_t begin = 0; begin < table_->size(); begin += batch_size_) {
      left_in_range_.push_back(std::min(batch_size_, table_->size() - begin));
    }
  }
  for (size_t column = 0; column < columns_.size(); ++column) {
    for (const Slot& slot : fleet_->Slots(columns_[column].role(), columns_[column].name)) {
      workers_.push_back({column, slot, std::thread([this, column, slot] { Work(column, slot); })});
    }
  }
}

Scoring::~Scoring() {
  Cancel();
  for (Worker& worker : workers_) worker.thread.join();
}

void Scoring::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
}

void Scoring::Dispatch(Batch batch) {
  if (batch.empty()) return;
  for (auto& queue : queues_) queue.push_back(batch);
}

void Scoring::DispatchRange(size_t row) {
  const size_t range = row / batch_size_;
  if (--left_in_range_[range] > 0) return;
  Batch batch;
  const size_t end = std::min((range + 1) * batch_size_, table_->size());
  for (size_t i = range * batch_size_; i < end; ++i) {
    if (!table_->dropped(i)) batch.push_back(i);
  }
  Dispatch(std::move(batch));
}

void Scoring::Arrived(size_t row) {
  absl::MutexLock lock(&mutex_);
  if (job_.deterministic()) return DispatchRange(row);
  if (table_->dropped(row)) return;
  arrived_.push_back(row);
  if (arrived_.size() < batch_size_) return;
  Dispatch(std::exchange(arrived_, {}));
}

absl::Status Scoring::Finish() {
  const auto wait =
      board_->Wait("scores of the step", absl::Now() + absl::Seconds(job_.limits().progress_timeout_s()));
  absl::MutexLock lock(&mutex_);
  Dispatch(std::exchange(arrived_, {}));
  closed_ = true;
  const auto done = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    if (!status_.ok()) return true;
    return busy_ == 0 &&
           std::all_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue.empty(); });
  };
  mutex_.Await(absl::Condition(&done));
  return status_;
}

void Scoring::Work(size_t column, const Slot& slot) {
  while (true) {
    Batch batch;
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return cancelled_ || !status_.ok() || !queues_[column].empty();
      };
      mutex_.Await(absl::Condition(&ready));
      if (cancelled_ || !status_.ok()) return;
      batch = std::move(queues_[column].front());
      queues_[column].pop_front();
      ++busy_;
    }
    const absl::Status status = Process(column, slot, std::move(batch));
    absl::MutexLock lock(&mutex_);
    --busy_;
    if (status_.ok()) status_ = status;
  }
}

size_t Scoring::LargestBatch(const Target& target) const {
  const auto limit = static_cast<size_t>(target.scorer.max_batch());
  return limit == 0 ? batch_size_ : std::min(limit, batch_size_);
}

absl::Status Scoring::Process(size_t column, const Slot& slot, Batch rows) {
  CallFailures failures;
  for (int attempt = 0; !rows.empty();) {
    // Another column may have dropped some meanwhile, sooner or later. Numbers depend, up to rounding, on
    // what is computed together: a deterministic job asks for all.
    if (!job_.deterministic()) std::erase_if(rows, [this](size_t row) { return table_->dropped(row); });
    if (rows.empty()) break;
    REIN_ASSIGN_OR_RETURN(const Target target, fleet_->AwaitReady(slot));
    const Batch part(rows.begin(), rows.begin() + std::min(rows.size(), LargestBatch(target)));
    const absl::StatusOr<Missing> missing = Call(column, target, part);
    if (!missing.ok() && IsTransient(missing.status())) {
      LogWarning(
          absl::StrCat(ToString(slot), ": ", missing.status().ToString(), "; the batch is sent again"));
      REIN_RETURN_IF_ERROR(failures.Handle(*fleet_, slot, target, missing.status()));
      continue;
    }
    if (absl::IsInternal(missing.status())) return missing.status();
    Batch again;
    for (const size_t row : part) {
      const absl::Status why = !missing.ok()            ? missing.status()
                               : missing->contains(row) ? missing->at(row)
                                                        : absl::OkStatus();
      if (why.ok()) continue;
      again.push_back(row);
      if (attempt + 1 < job_.limits().score_attempts() && !absl::IsInvalidArgument(why)) continue;
      again.pop_back();
      LogWarning(absl::StrCat(table_->id(row), " is dropped: ", ToString(slot), ": ", why.ToString()));
      table_->Drop(row, absl::StrCat(ToString(slot), ": ", why.message()));
    }
    rows.erase(rows.begin(), rows.begin() + part.size());
    rows.insert(rows.begin(), again.begin(), again.end());
    attempt = again.empty() ? 0 : attempt + 1;
    if (absl::IsResourceExhausted(missing.status())) {
      REIN_RETURN_IF_ERROR(fleet_->AwaitAfterFailure(slot, target));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Scoring::Missing> Scoring::Call(size_t column, const Target& target, const Batch& rows) {
  std::vector<const v1::Sample*> samples;
  for (const size_t row : rows) samples.push_back(&table_->sample(row));
  const absl::Duration timeout = absl::Seconds(job_.limits().score_timeout_s());
  const auto wait =
      board_->Wait(absl::StrCat(KeyOf(target.address), ": ", rows.size(), " samples"), absl::Now() + timeout);
  const v1::Fence fence =
      fleet_->MakeFence(target, step_, absl::StrCat("score-", step_, "-", table_->id(rows[0])));
  ScoreCall call{.target = &target,
                 .fence = fence,
                 .samples = samples,
                 .timeout = timeout,
                 .max_message_bytes = job_.limits().max_message_bytes(),
                 .pictures = pictures_};
  REIN_ASSIGN_OR_RETURN(Answers answers, CallActor(columns_[column].kind, call));
  REIN_RETURN_IF_ERROR(CheckDigest(column, answers.digest));
  Missing missing;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (answers.values[i].ok()) {
      Accept(rows[i], column, Cell{*std::move(answers.values[i]), answers.digest});
    } else {
      missing[rows[i]] = answers.values[i].status();
    }
  }
  return missing;
}

void Scoring::Accept(size_t row, size_t column, Cell cell) {
  if (columns_[column].kind != Column::Kind::kGuard) return table_->Fill(row, column, std::move(cell));
  const auto severity = static_cast<guard::Severity>(static_cast<int>(cell.values.front()));
  if (severity < drop_at_) return table_->Fill(row, column, std::move(cell));
  table_->Drop(row, absl::StrCat(kVerdict, guard::SeverityName(severity),
                                 " (guard.drop_at: ", guard::SeverityName(drop_at_), ")"));
}

absl::Status Scoring::CheckDigest(size_t column, const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  std::string& known = digests_[column];
  if (known.empty()) known = digest;
  if (known == digest) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      columns_[column].role(), " '", columns_[column].name, "' answered as '", digest, "' after '", known,
      "' in one step; a batch must not mix two scorers: change scorers with `rein swap`"));
}

bool IsVerdictOfGuard(absl::string_view drop_reason) { return absl::StartsWith(drop_reason, kVerdict); }

}  // namespace rein::coordinator
