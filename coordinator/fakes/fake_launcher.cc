#include "coordinator/fakes/fake_launcher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "coordinator/registry.h"
#include "transport/status.h"

namespace rein::coordinator::fakes {

FakeLauncher::~FakeLauncher() {
  absl::MutexLock lock(&mutex_);
  actors_.clear();
}

Script& FakeLauncher::ScriptOf(const std::string& key) {
  std::unique_ptr<Script>& script = scripts_[key];
  if (script == nullptr) script = std::make_unique<Script>();
  return *script;
}

Script& FakeLauncher::script(const std::string& key) {
  absl::MutexLock lock(&mutex_);
  return ScriptOf(key);
}

grpc::Status FakeLauncher::Start(grpc::ServerContext* context, const v1::StartActorRequest* request,
                                 v1::StartActorResponse* response) {
  const std::string key = KeyOf(request->address());
  const absl::Status status = script(key).Enter("Start", context, [] {});
  if (!status.ok()) return transport::ToGrpc(status);
  absl::MutexLock lock(&mutex_);
  std::vector<ActorPtr>& lives = actors_[key];
  if (!lives.empty() && !lives.back()->dead()) {
    return transport::ToGrpc(absl::AlreadyExistsError(absl::StrCat(key, " runs")));
  }
  FakeActorOptions options{.address = request->address(),
                           .job_id = job_id_,
                           .token = token_,
                           .address_file = address_file_,
                           .incarnation = Mix64(static_cast<uint64_t>(next_pid_)),
                           .pid = next_pid_};
  response->set_pid(next_pid_++);
  lives.push_back(std::make_shared<FakeActor>(std::move(options), &ScriptOf(key), &weights_));
  return grpc::Status::OK;
}

FakeLauncher::ActorPtr FakeLauncher::Find(const std::string& key) const {
  absl::MutexLock lock(&mutex_);
  const auto found = actors_.find(key);
  return found == actors_.end() ? nullptr : found->second.back();
}

grpc::Status FakeLauncher::Stop(grpc::ServerContext*, const v1::StopActorRequest* request,
                                v1::StopActorResponse*) {
  Kill(KeyOf(request->address()));
  return grpc::Status::OK;
}

void FakeLauncher::Kill(const std::string& key) {
  const ActorPtr actor = Find(key);
  if (actor != nullptr) actor->Kill();
}

grpc::Status FakeLauncher::List(grpc::ServerContext*, const v1::ListActorsRequest*,
                                v1::ListActorsResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, lives] : actors_) {
    for (const ActorPtr& actor : lives) {
      v1::LaunchedActor& one = *response->add_actors();
      *one.mutable_address() = actor->address();
      one.set_pid(actor->pid());
      one.set_running(!actor->dead());
    }
  }
  return grpc::Status::OK;
}

std::vector<std::string> FakeLauncher::running() const {
  std::vector<std::string> keys;
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, lives] : actors_) {
    if (!lives.back()->dead()) keys.push_back(key);
  }
  return keys;
}

int FakeLauncher::starts(const std::string& key) const {
  absl::MutexLock lock(&mutex_);
  const auto found = actors_.find(key);
  return found == actors_.end() ? 0 : static_cast<int>(found->second.size());
}

}  // namespace rein::coordinator::fakes
