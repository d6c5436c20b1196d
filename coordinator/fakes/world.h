// A run folder with a launcher of fake actors: all that a coordinator needs.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/control_desk.h"
#include "coordinator/fakes/fake_launcher.h"
#include "coordinator/fleet.h"
#include "coordinator/job.h"
#include "coordinator/launcher_client.h"
#include "coordinator/registry.h"
#include "coordinator/service.h"
#include "coordinator/status_board.h"
#include "rein/v1/job.pb.h"
#include "transport/server.h"

namespace rein::coordinator::fakes {

// Six steps of four prompts with two samples; two rollouts, one constraint "cost"; a commit every two steps;
// scenes as prompts and for evaluation.
class World {
 public:
  // In a temporary folder of its own, removed at the end. `overrides` as in job files:
  // "limits.max_restarts=1"; $0 is the folder of scenes. Throws where the job is not valid.
  explicit World(const std::vector<std::string>& overrides = {});
  ~World();

  const v1::Job& job() const { return job_; }
  const std::filesystem::path& run_dir() const { return run_dir_; }
  // A model folder beside the job's, for swaps.
  std::string other_model() const;
  const std::string& token() const { return token_; }
  const std::string& launcher_address() const { return server_->address(); }
  JobOptions options() const;

  FakeLauncher& launcher() { return *launcher_; }
  Script& script(const std::string& key) { return launcher_->script(key); }

 private:
  struct Folder;
  std::unique_ptr<Folder> folder_;
  std::filesystem::path run_dir_;
  std::string token_;
  v1::Job job_;
  std::unique_ptr<FakeLauncher> launcher_;
  std::unique_ptr<transport::Server> server_;
};

// A coordinator without its job thread: the services and the fleet, for tests of single parts.
class Cluster {
 public:
  explicit Cluster(const std::vector<std::string>& overrides = {});
  ~Cluster();

  // As at the beginning of a job.
  void Start();

  World world;
  const v1::Job& job;
  StatusBoard board;
  Registry registry;
  ControlDesk desk;
  CoordinatorService service;
  std::unique_ptr<transport::Server> server;
  std::unique_ptr<LauncherClient> launcher;
  std::unique_ptr<Fleet> fleet;
};

}  // namespace rein::coordinator::fakes
