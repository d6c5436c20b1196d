#include "coordinator/fakes/world.h"

#include <stdlib.h>

#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "base/file.h"
#include "data/scenes.h"
#include "transport/job_file.h"
#include "transport/peer.h"
#include "transport/token.h"

namespace rein::coordinator::fakes {
namespace {

namespace fs = std::filesystem;

constexpr char kJobId[] = "job-of-fakes";

constexpr char kJob[] = R"(
name: fakes
seed: 3
steps: 6
data: {prompts: $0/prompts.parquet, evaluation: $0/evaluation.parquet, prompts_per_step: 4, samples_per_prompt: 2}
constraints: [{name: cost, threshold: 0.1, window: 8}]
actors:
- {role: policy, model: $0/base}
- {role: rollout, replicas: 2}
- {role: reward, model: $0/base}
- {role: cost, model: $0/base}
checkpoint: {every: 2}
evaluation: {prompts: 4, shown: 2}
limits: {heartbeat_s: 0.1, suspect_after_s: 10, dead_after_s: 30, start_timeout_s: 30, progress_timeout_s: 30,
         score_timeout_s: 20, canary_timeout_s: 20, score_batch: 4}
)";

void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}
template <typename T>
T Require(absl::StatusOr<T> result) {
  Require(result.status());
  return *std::move(result);
}

// Removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "rein_fakes_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Written once per process.
const fs::path& Scenes() {
  static const TemporaryFolder folder;
  static const fs::path scenes = [] {
    data::ScenesOptions options;
    options.train_rows = 60;
    options.evaluation_rows = 20;
    Require(data::MakeScenes(options, folder.path() / "scenes"));
    return folder.path() / "scenes";
  }();
  return scenes;
}

}  // namespace

struct World::Folder : TemporaryFolder {};

World::World(const std::vector<std::string>& overrides)
    : folder_(std::make_unique<Folder>()), run_dir_(folder_->path() / "run") {
  Require(MakeFolder(run_dir_));
  Require(MakeFolder(other_model()));
  Require(WriteFileAtomically(fs::path(other_model()) / "config.json", "{}"));
  token_ = Require(transport::MakeToken(run_dir_ / "token"));
  const std::string scenes = Scenes().string();
  std::vector<std::string> settings;
  for (const std::string& setting : overrides) settings.push_back(absl::Substitute(setting, scenes));
  Require(transport::ParseYaml(absl::Substitute(kJob, scenes), "job.yaml", run_dir_, settings, &job_));
  Require(transport::CompleteJob(&job_));
  launcher_ = std::make_unique<FakeLauncher>(kJobId, token_, run_dir_ / "coordinator.address");
  server_ = Require(transport::Server::Start({.token = token_}, {launcher_.get()}));
}

std::string World::other_model() const { return (folder_->path() / "other_model").string(); }

World::~World() { server_->Shutdown(absl::ZeroDuration()); }

JobOptions World::options() const {
  return {.job = job_,
          .job_id = kJobId,
          .token = token_,
          .run_dir = run_dir_,
          .launcher_address = server_->address()};
}

Cluster::Cluster(const std::vector<std::string>& overrides)
    : world(overrides),
      job(world.job()),
      board(job, kJobId, world.run_dir().string()),
      registry(kJobId, job.limits(), [this] { board.Touch(); }),
      service(job.limits(), &registry, &board, &desk,
              [this]() -> absl::StatusOr<std::string> { return (world.run_dir() / "step-1").string(); }) {
  registry.SetEpoch(1);
  server = Require(transport::Server::Start({.token = world.token()}, {&service}));
  launcher = std::make_unique<LauncherClient>(
      Require(transport::Peer::Open(world.launcher_address(), {.token = world.token()})));
  fleet = std::make_unique<Fleet>(KeeperEnvironment{.job = job,
                                                    .job_id = kJobId,
                                                    .token = world.token(),
                                                    .blobs_address = server->address(),
                                                    .registry = &registry,
                                                    .launcher = launcher.get(),
                                                    .board = &board});
  Require(WriteFileAtomically(world.run_dir() / "coordinator.address", server->address()));
}

Cluster::~Cluster() {
  desk.Close(absl::CancelledError("the test ends"));
  server->Shutdown(absl::ZeroDuration());
  fleet.reset();
}

void Cluster::Start() {
  fleet->Start(ChoicesOf(job));
  Require(fleet->AwaitAllReady());
}

}  // namespace rein::coordinator::fakes
