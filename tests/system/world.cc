#include "tests/system/world.h"

#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "data/preferences.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "transport/peer.h"

namespace rein::system_test {
namespace {

constexpr char kTrainer[] = R"(model: $MODEL
data: $DATA
output: models/$OUTPUT
steps: 2
batch: 8
optimizer: {learning_rate: 1e-3}
)";

constexpr char kJob[] = R"(name: tiny
steps: 4
data: {prompts: data/prompts.parquet, evaluation: data/evaluation.parquet, prompts_per_step: 4, samples_per_prompt: 2}
rollout: {max_response_tokens: 12, max_batch: 8, max_prompt_tokens: 128}
constraints: [{name: cost, threshold: 0.0, window: 16}]
actors:
  - {role: policy, model: models/sft}
  - {role: reference, model: models/sft}
  - {role: reward, model: models/reward}
  - {role: cost, name: cost, model: models/cost}
policy_optimizer: {learning_rate: 1e-4}
critic_optimizer: {learning_rate: 1e-4}
ptx: {data: data/ptx.parquet, coefficient: 1, batch: 4}
checkpoint: {every: 2}
evaluation: {prompts: 8, shown: 2}
limits: {score_batch: 4, heartbeat_s: 0.5, suspect_after_s: 1.5, dead_after_s: 3}
)";

void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

void Replace(std::string& text, const std::string& what, const std::string& with) {
  text.replace(text.find(what), what.size(), with);
}

void Run(const std::vector<std::string>& arguments) {
  const CommandResult result = RunCommand(arguments);
  if (result.exit_code == 0) return;
  fprintf(stderr, "%s\n%s\n", result.out.c_str(), result.err.c_str());
  abort();  // without its world no test can say anything
}

World WorldIn(const fs::path& folder) {
  return {.folder = folder,
          .job = folder / "job.yaml",
          .sft = folder / "models/sft",
          .reward = folder / "models/reward",
          .cost = folder / "models/cost",
          .other_cost = folder / "models/other_cost"};
}

void MakeModels(const World& world, const std::string& family) {
  Run({"rein", "data", "scenes", "--out", (world.folder / "data").string(), "--family", family,
       "--train-rows", "300", "--evaluation-rows", "40"});
  TrainBarely(world, "sft", "data/base", "data/sft.parquet", "sft");
  TrainBarely(world, "reward", "models/sft", "data/preferences.parquet", "reward");
  TrainBarely(world, "cost", "models/sft", "data/preferences.parquet", "cost");
}

fs::path FreshFolder() {
  char pattern[] = "/tmp/rein_world_XXXXXX";
  return mkdtemp(pattern);
}

World MakeWorld() {
  const char* shared = std::getenv("REIN_TEST_WORLD");
  World world = WorldIn(shared == nullptr ? FreshFolder() : fs::path(shared));
  if (fs::exists(world.job)) return world;
  MakeModels(world, "llava");
  TrainBarely(world, "cost", "models/sft", "data/preferences.parquet", "other_cost", "seed: 2\n");
  Write(world.job, kJob);  // last: it tells that the world is whole
  return world;
}

// Waits until something changes in the folder; returns at the deadline as well.
void WaitForChange(const fs::path& folder, absl::Time deadline) {
  const int watch = inotify_init1(IN_CLOEXEC);
  inotify_add_watch(watch, folder.c_str(), IN_CREATE | IN_MOVED_TO);
  // What changed before the watch stood is seen at the next look, at most a quarter of a second later.
  const absl::Duration left = std::min(deadline - absl::Now(), absl::Milliseconds(250));
  pollfd waiting{watch, POLLIN, 0};
  poll(&waiting, 1, std::max(0, static_cast<int>(absl::ToInt64Milliseconds(left))));
  close(watch);
}

std::string Line(const fs::path& path) {
  return std::string(absl::StripAsciiWhitespace(ReadFile(path).value_or("")));
}

// Reads one WatchStatus stream until the predicate holds; false when the stream ends.
bool Follow(const std::string& address, const std::string& token, absl::Time deadline,
            const std::function<bool(const v1::JobStatus&)>& holds, v1::JobStatus* last) {
  const auto peer = transport::Peer::Open(address, {token});
  if (!peer.ok()) return false;
  const auto stub = v1::Coordinator::NewStub(peer->channel());
  grpc::ClientContext context;
  peer->Prepare(context, deadline - absl::Now());
  v1::JobStatusRequest request;
  request.set_min_interval_ms(10);
  auto stream = stub->WatchStatus(&context, request);
  v1::JobStatus status;
  while (stream->Read(&status)) {
    if (!holds(status)) continue;
    if (last != nullptr) *last = status;
    context.TryCancel();
    return true;
  }
  return false;
}

}  // namespace

const World& TinyWorld() {
  static const World* world = [] {
    auto* made = new World(MakeWorld());
    static fs::path folder = made->folder;
    const bool keep = std::getenv("REIN_TEST_WORLD") != nullptr || std::getenv("REIN_KEEP_WORLD") != nullptr;
    if (!keep) std::atexit([] { fs::remove_all(folder); });
    return made;
  }();
  return *world;
}

World FamilyWorld(const std::string& family) {
  World world = WorldIn(TinyWorld().folder / "families" / family);
  fs::remove_all(world.folder);
  fs::create_directories(world.folder);
  MakeModels(world, family);
  Write(world.job, kJob);
  world.other_cost.clear();
  return world;
}

void TrainBarely(const World& world, const std::string& kind, const std::string& model,
                 const std::string& data, const std::string& output, const std::string& settings) {
  std::string text = kTrainer + settings;
  Replace(text, "$MODEL", model);
  Replace(text, "$DATA", data);
  Replace(text, "$OUTPUT", output);
  const fs::path file = world.folder / (output + ".yaml");
  Write(file, text);
  Run({"rein", "train", kind, file.string()});
}

fs::path PictureFile(const World& world, size_t row) {
  const auto rows = data::LoadPreferences(world.folder / "data/prompts.parquet").value();
  const fs::path file = world.folder / absl::StrCat("picture-", row, ".png");
  Write(file, rows.at(row).pictures.at(0).bytes);
  return file;
}

fs::path RunFolder(const std::string& name) { return TinyWorld().folder / "runs" / name; }

Job::Job(const std::string& name, const std::vector<std::string>& settings, const fs::path& file)
    : folder_(RunFolder(name)), file_(file), settings_(settings) {
  fs::create_directories(folder_.parent_path());
  Start({});
}

Job::~Job() {
  if (testing::Test::HasFailure()) fprintf(stderr, "---- %s\n%s\n", folder_.c_str(), Output().c_str());
}

void Job::Start(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"rein", "run", file_.string(), "--run-dir", folder_.string()};
  for (const std::string& setting : settings_) {
    arguments.push_back("--set");
    arguments.push_back(setting);
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  const fs::path log = absl::StrCat(folder_.string(), ".", ++starts_, ".log");
  process_ = std::make_unique<Background>(arguments, log);
}

void Job::Resume() { Start({"--resume"}); }

void Job::StopEarly() {
  const CommandResult stop = RunCommand({"rein", "stop", "--run-dir", folder_.string()});
  EXPECT_EQ(stop.exit_code, 0) << stop.err;
  EXPECT_EQ(Wait(), 1) << Output();
}

bool Job::WaitFor(const std::function<bool(const v1::JobStatus&)>& holds, v1::JobStatus* last,
                  absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (absl::Now() < deadline) {
    const std::string address = Line(folder_ / "coordinator.address");
    if (!address.empty() && Follow(address, Line(folder_ / "token"), deadline, holds, last)) return true;
    if (process_->Wait(absl::ZeroDuration()) >= 0) return false;
    WaitForChange(fs::exists(folder_) ? folder_ : folder_.parent_path(), deadline);
  }
  return false;
}

bool Job::WaitForMoreSteps(int64_t more) {
  v1::JobStatus now;
  return WaitFor([](const v1::JobStatus&) { return true; }, &now) &&
         WaitFor([&](const v1::JobStatus& status) { return status.step() >= now.step() + more; });
}

const v1::ActorStatus* Job::Find(const v1::JobStatus& status, const std::string& role,
                                 const std::string& name) {
  for (const v1::ActorStatus& actor : status.actors()) {
    if (actor.address().role() == role && (name.empty() || actor.address().name() == name)) return &actor;
  }
  return nullptr;
}

pid_t Job::PidOf(const v1::JobStatus& status, const std::string& role, const std::string& name) {
  const v1::ActorStatus* actor = Find(status, role, name);
  return actor == nullptr ? 0 : static_cast<pid_t>(actor->pid());
}

pid_t Job::CoordinatorPid() const {
  for (const pid_t pid : ProcessesWithArgument(folder_.string())) {
    if (fs::read_symlink(absl::StrCat("/proc/", pid, "/exe")).filename() == "rein-coordinator") return pid;
  }
  return 0;
}

bool WaitForFile(const fs::path& path, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!fs::exists(path) && absl::Now() < deadline) WaitForChange(path.parent_path(), deadline);
  return fs::exists(path);
}

std::vector<nlohmann::json> Lines(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  for (const auto line : absl::StrSplit(Bytes(path), '\n', absl::SkipEmpty())) {
    lines.push_back(nlohmann::json::parse(line.begin(), line.end()));
  }
  return lines;
}

std::vector<nlohmann::json> Metrics(const fs::path& run_folder) {
  return Lines(run_folder / "metrics.jsonl");
}

std::vector<std::vector<std::string>> QueryLedger(const fs::path& run_folder, const std::string& sql) {
  sqlite3* database = nullptr;
  const auto closer = absl::MakeCleanup([&] { sqlite3_close(database); });
  EXPECT_EQ(sqlite3_open_v2((run_folder / "ledger.sqlite").c_str(), &database, SQLITE_OPEN_READONLY, nullptr),
            SQLITE_OK);
  std::vector<std::vector<std::string>> rows;
  const auto collect = [](void* out, int columns, char** values, char**) {
    auto& row = static_cast<std::vector<std::vector<std::string>>*>(out)->emplace_back();
    for (int i = 0; i < columns; ++i) row.emplace_back(values[i] == nullptr ? "" : values[i]);
    return 0;
  };
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), collect, &rows, &error), SQLITE_OK) << error;
  sqlite3_free(error);
  return rows;
}

std::string Bytes(const fs::path& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

}  // namespace rein::system_test
