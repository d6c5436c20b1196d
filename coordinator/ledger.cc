#include "coordinator/ledger.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "coordinator/sqlite.h"

namespace rein::coordinator {
namespace {

using sqlite::Database;
using sqlite::Row;
using sqlite::Statement;

constexpr absl::Duration kBusyTimeout = absl::Seconds(5);
// "Rein" in the file's header: tells a ledger from other databases.
constexpr char kApplicationId[] = "1382377838";
constexpr char kSchemaVersion[] = "1";

// `seed` holds the bits of an unsigned number. Samples have one row an epoch that planned them.
constexpr char kSchema[] = R"sql(
CREATE TABLE samples(
  sample_id TEXT NOT NULL, coordinator_epoch INTEGER NOT NULL, step INTEGER NOT NULL,
  prompt_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('planned', 'scored', 'consumed', 'dropped', 'abandoned')),
  category TEXT, image_digest TEXT, question TEXT, seed INTEGER, answer TEXT,
  first_version_epoch INTEGER, first_version INTEGER, last_version_epoch INTEGER, last_version INTEGER,
  response_tokens INTEGER, finish_reason TEXT, reward REAL, reward_digest TEXT, drop_reason TEXT,
  updated_ns INTEGER NOT NULL,
  PRIMARY KEY(sample_id, coordinator_epoch));
CREATE INDEX samples_by_step ON samples(step);
CREATE INDEX samples_by_state ON samples(state);
CREATE TABLE costs(
  sample_id TEXT NOT NULL, coordinator_epoch INTEGER NOT NULL, name TEXT NOT NULL,
  cost REAL, signal REAL, digest TEXT, lambda REAL,
  PRIMARY KEY(sample_id, coordinator_epoch, name)) WITHOUT ROWID;
CREATE TABLE tokens(
  sample_id TEXT NOT NULL, coordinator_epoch INTEGER NOT NULL, columns TEXT NOT NULL,
  PRIMARY KEY(sample_id, coordinator_epoch));
CREATE TABLE events(
  time_ns INTEGER NOT NULL, coordinator_epoch INTEGER NOT NULL, step INTEGER NOT NULL,
  kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE VIEW scores_view AS
  SELECT s.step, s.sample_id, s.coordinator_epoch, s.state, s.reward, s.reward_digest,
         c.name AS cost_name, c.cost, c.digest AS cost_digest, c.lambda
  FROM samples AS s LEFT JOIN costs AS c USING(sample_id, coordinator_epoch)
  WHERE s.state IN ('scored', 'consumed');
)sql";

int64_t Signed(uint64_t number) { return static_cast<int64_t>(number); }

// A new file gets the schema; a database of another program is left as it is.
absl::Status CheckOrCreate(Database* database) {
  REIN_ASSIGN_OR_RETURN(const std::string entries, database->QueryText("SELECT COUNT(*) FROM sqlite_schema"));
  REIN_ASSIGN_OR_RETURN(const std::string id, database->QueryText("PRAGMA application_id"));
  if (entries == "0" && id == "0") {
    return database->InTransaction([&] {
      return database->Execute(absl::StrCat(kSchema, "PRAGMA application_id = ", kApplicationId,
                                            "; PRAGMA user_version = ", kSchemaVersion, ";"));
    });
  }
  if (id != kApplicationId) {
    return absl::DataLossError(absl::StrCat(
        database->file().string(), " is a database, but not a ledger; move it away, a new one will be made"));
  }
  REIN_ASSIGN_OR_RETURN(const std::string version, database->QueryText("PRAGMA user_version"));
  if (version == kSchemaVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(database->file().string(), " is a ledger of layout ",
                                                    version, ", this program knows layout ", kSchemaVersion,
                                                    "; go on with the program that wrote it"));
}

// Reads every page once: damage is told at the start and not in the middle of a step.
absl::Status CheckPages(Database* database) {
  REIN_ASSIGN_OR_RETURN(const std::string verdict, database->QueryText("PRAGMA quick_check(1)"));
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(database->file().string(), " is damaged: ", verdict,
                                          "; move the file away, a new one will be made"));
}

class SqliteLedger : public Ledger {
 public:
  explicit SqliteLedger(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  absl::StatusOr<uint64_t> NextEpoch() override;
  absl::Status Plan(const LedgerKey& key, absl::Span<const PlannedSample> samples) override;
  absl::Status Close(const LedgerKey& key, absl::Span<const ScoredSample> scored,
                     absl::Span<const DroppedSample> dropped) override;
  absl::Status Consume(const LedgerKey& key) override;
  absl::Status Reconcile(int64_t committed_step) override;
  absl::Status RecordEvent(const LedgerKey& key, const std::string& kind, const std::string& text) override;
  absl::StatusOr<std::map<std::string, int64_t>> CountStates() override;

 private:
  absl::Status ExpectPlannedIn(const LedgerKey& key, const std::string& sample_id);
  absl::Status WriteScores(const LedgerKey& key, absl::Span<const ScoredSample> samples);
  absl::Status WriteCosts(const LedgerKey& key, absl::Span<const ScoredSample> samples);
  absl::Status WriteTokens(const LedgerKey& key, absl::Span<const ScoredSample> samples);
  absl::Status WriteDrops(const LedgerKey& key, absl::Span<const DroppedSample> samples);

  std::unique_ptr<Database> database_;
};

absl::Status NeverPlanned(const LedgerKey& key, const std::string& sample_id) {
  return absl::NotFoundError(absl::StrCat("sample ", sample_id, " does not wait for its scores in epoch ",
                                          key.epoch, ", step ", key.step, "; plan it first"));
}

absl::StatusOr<uint64_t> SqliteLedger::NextEpoch() {
  REIN_ASSIGN_OR_RETURN(Statement next,
                        database_->Prepare("INSERT INTO meta VALUES('coordinator_epoch', 1) "
                                           "ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value"));
  uint64_t epoch = 0;
  REIN_RETURN_IF_ERROR(next.Query({}, [&](const Row& row) { epoch = static_cast<uint64_t>(row.Int(0)); }));
  return epoch;
}

absl::Status SqliteLedger::ExpectPlannedIn(const LedgerKey& key, const std::string& sample_id) {
  REIN_ASSIGN_OR_RETURN(Statement find, database_->Prepare("SELECT step FROM samples WHERE sample_id = ? AND "
                                                           "coordinator_epoch = ?"));
  int64_t step = 0;
  REIN_RETURN_IF_ERROR(
      find.Query({sample_id, Signed(key.epoch)}, [&](const Row& row) { step = row.Int(0); }));
  if (step == key.step) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("sample ", sample_id, " belongs to step ", step, " of epoch ",
                                               key.epoch, " and cannot be planned for step ", key.step));
}

absl::Status SqliteLedger::Plan(const LedgerKey& key, absl::Span<const PlannedSample> samples) {
  return database_->InTransaction([&]() -> absl::Status {
    REIN_ASSIGN_OR_RETURN(
        Statement insert,
        database_->Prepare(
            "INSERT INTO samples(sample_id, coordinator_epoch, step, prompt_id, state, category, "
            "image_digest, question, seed, updated_ns) "
            "VALUES(?, ?, ?, ?, 'planned', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"));
    const int64_t now = absl::GetCurrentTimeNanos();
    for (const PlannedSample& sample : samples) {
      REIN_ASSIGN_OR_RETURN(
          const int64_t added,
          insert.Run({sample.sample_id, Signed(key.epoch), key.step, sample.prompt_id, sample.category,
                      sample.image_digest, sample.question, Signed(sample.seed), now}));
      if (added == 0) REIN_RETURN_IF_ERROR(ExpectPlannedIn(key, sample.sample_id));
    }
    return absl::OkStatus();
  });
}

absl::Status SqliteLedger::Close(const LedgerKey& key, absl::Span<const ScoredSample> scored,
                                 absl::Span<const DroppedSample> dropped) {
  return database_->InTransaction([&]() -> absl::Status {
    REIN_RETURN_IF_ERROR(WriteScores(key, scored));
    REIN_RETURN_IF_ERROR(WriteCosts(key, scored));
    REIN_RETURN_IF_ERROR(WriteTokens(key, scored));
    return WriteDrops(key, dropped);
  });
}

absl::Status SqliteLedger::WriteScores(const LedgerKey& key, absl::Span<const ScoredSample> samples) {
  REIN_ASSIGN_OR_RETURN(
      Statement update,
      database_->Prepare(
          "UPDATE samples SET state = 'scored', answer = ?, first_version_epoch = ?, first_version = ?, "
          "last_version_epoch = ?, last_version = ?, response_tokens = ?, finish_reason = ?, reward = ?, "
          "reward_digest = ?, updated_ns = ? "
          "WHERE sample_id = ? AND coordinator_epoch = ? AND step = ? AND state IN ('planned', 'scored')"));
  const int64_t now = absl::GetCurrentTimeNanos();
  for (const ScoredSample& sample : samples) {
    REIN_ASSIGN_OR_RETURN(
        const int64_t changed,
        update.Run({sample.answer, Signed(sample.first_version.coordinator_epoch()),
                    sample.first_version.number(), Signed(sample.last_version.coordinator_epoch()),
                    sample.last_version.number(), sample.response_tokens, sample.finish_reason, sample.reward,
                    sample.reward_digest, now, sample.sample_id, Signed(key.epoch), key.step}));
    if (changed == 0) return NeverPlanned(key, sample.sample_id);
  }
  return absl::OkStatus();
}

absl::Status SqliteLedger::WriteCosts(const LedgerKey& key, absl::Span<const ScoredSample> samples) {
  REIN_ASSIGN_OR_RETURN(Statement insert,
                        database_->Prepare("INSERT OR REPLACE INTO costs VALUES(?, ?, ?, ?, ?, ?, ?)"));
  for (const ScoredSample& sample : samples) {
    for (const ScoredCost& cost : sample.costs) {
      REIN_RETURN_IF_ERROR(insert
                               .Run({sample.sample_id, Signed(key.epoch), cost.name, cost.cost, cost.signal,
                                     cost.digest, cost.lambda})
                               .status());
    }
  }
  return absl::OkStatus();
}

absl::Status SqliteLedger::WriteTokens(const LedgerKey& key, absl::Span<const ScoredSample> samples) {
  REIN_ASSIGN_OR_RETURN(Statement insert,
                        database_->Prepare("INSERT OR REPLACE INTO tokens VALUES(?, ?, ?)"));
  for (const ScoredSample& sample : samples) {
    if (sample.token_columns.empty()) continue;
    REIN_RETURN_IF_ERROR(insert.Run({sample.sample_id, Signed(key.epoch), sample.token_columns}).status());
  }
  return absl::OkStatus();
}

absl::Status SqliteLedger::WriteDrops(const LedgerKey& key, absl::Span<const DroppedSample> samples) {
  REIN_ASSIGN_OR_RETURN(
      Statement update,
      database_->Prepare(
          "UPDATE samples SET state = 'dropped', drop_reason = ?, updated_ns = ? "
          "WHERE sample_id = ? AND coordinator_epoch = ? AND step = ? AND state IN ('planned', 'dropped')"));
  for (const DroppedSample& sample : samples) {
    REIN_ASSIGN_OR_RETURN(const int64_t changed, update.Run({sample.reason, absl::GetCurrentTimeNanos(),
                                                             sample.sample_id, Signed(key.epoch), key.step}));
    if (changed == 0) return NeverPlanned(key, sample.sample_id);
  }
  return absl::OkStatus();
}

absl::Status SqliteLedger::Consume(const LedgerKey& key) {
  REIN_ASSIGN_OR_RETURN(Statement update,
                        database_->Prepare("UPDATE samples SET state = 'consumed', updated_ns = ? "
                                           "WHERE coordinator_epoch = ? AND step = ? AND state = 'scored'"));
  return update.Run({absl::GetCurrentTimeNanos(), Signed(key.epoch), key.step}).status();
}

absl::Status SqliteLedger::Reconcile(int64_t committed_step) {
  REIN_ASSIGN_OR_RETURN(Statement update,
                        database_->Prepare("UPDATE samples SET state = 'abandoned', updated_ns = ? "
                                           "WHERE step > ? AND state != 'abandoned'"));
  return update.Run({absl::GetCurrentTimeNanos(), committed_step}).status();
}

absl::Status SqliteLedger::RecordEvent(const LedgerKey& key, const std::string& kind,
                                       const std::string& text) {
  REIN_ASSIGN_OR_RETURN(Statement insert, database_->Prepare("INSERT INTO events VALUES(?, ?, ?, ?, ?)"));
  return insert.Run({absl::GetCurrentTimeNanos(), Signed(key.epoch), key.step, kind, text}).status();
}

absl::StatusOr<std::map<std::string, int64_t>> SqliteLedger::CountStates() {
  REIN_ASSIGN_OR_RETURN(Statement count,
                        database_->Prepare("SELECT state, COUNT(*) FROM samples GROUP BY state"));
  std::map<std::string, int64_t> states;
  REIN_RETURN_IF_ERROR(count.Query({}, [&](const Row& row) { states[row.Text(0)] = row.Int(1); }));
  return states;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::filesystem::path& file) {
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(file, kBusyTimeout));
  REIN_RETURN_IF_ERROR(CheckOrCreate(database.get()));
  REIN_RETURN_IF_ERROR(CheckPages(database.get()));
  REIN_ASSIGN_OR_RETURN(const std::string mode, database->QueryText("PRAGMA journal_mode = WAL"));
  if (mode != "wal") {
    return absl::UnavailableError(absl::StrCat(file.string(),
                                               ": this file system cannot hold a write-ahead log"
                                               " (journal mode '",
                                               mode, "'); put the run folder on a local disk"));
  }
  REIN_RETURN_IF_ERROR(database->Execute("PRAGMA synchronous = FULL"));
  return std::make_unique<SqliteLedger>(std::move(database));
}

}  // namespace rein::coordinator
