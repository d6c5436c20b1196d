// What a job implies, and the rules that no single field can state.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "transport/field_rules.h"
#include "transport/job_file.h"
#include "transport/nearest.h"
#include "transport/peer.h"

namespace rein::transport {
namespace {

using v1::ActorSpec;
using v1::Job;

absl::Status Bad(const std::string& text) { return absl::InvalidArgumentError(text); }

std::vector<std::string> ConstraintNames(const Job& job) {
  std::vector<std::string> names;
  for (const v1::Constraint& constraint : job.constraints()) names.push_back(constraint.name());
  return names;
}

absl::Status CheckConstraints(const Job& job) {
  if (job.constraints().empty() && job.algorithm().mode() != "ppo_reward") {
    return Bad(
        "constraints: none given; add at least one with a threshold, or set algorithm.mode to ppo_reward");
  }
  std::set<std::string> names;
  for (const v1::Constraint& constraint : job.constraints()) {
    if (constraint.name().empty()) return Bad("constraints: a name is empty");
    if (constraint.name() == "reward") {
      return Bad("constraints: 'reward' is the name of the reward's critic; choose another name");
    }
    if (!names.insert(constraint.name()).second) {
      return Bad(absl::StrCat("constraints: two are named '", constraint.name(), "'"));
    }
    const int batch = job.data().prompts_per_step() * job.data().samples_per_prompt();
    if (constraint.window() < batch) {
      return Bad(
          absl::StrCat("constraints: window of '", constraint.name(), "' is ", constraint.window(),
                       "; it must hold at least one batch: prompts_per_step x samples_per_prompt = ", batch));
    }
    const v1::Controller& controller = constraint.controller();
    if (controller.initial() > controller.max() || controller.floor() > controller.max()) {
      return Bad(absl::StrCat("constraints: controller of '", constraint.name(), "': initial ",
                              FormatNumber(controller.initial()), " and floor ",
                              FormatNumber(controller.floor()), " must not pass max ",
                              FormatNumber(controller.max())));
    }
    if (controller.kind() == "log_sgd" && controller.initial() == 0) {
      return Bad(absl::StrCat("constraints: controller of '", constraint.name(),
                              "': log_sgd never leaves 0; set initial above 0"));
    }
  }
  return absl::OkStatus();
}

// Roles of which a job has one group only are named after the role; a lone cost after the lone constraint.
void NameActors(Job* job) {
  for (ActorSpec& actor : *job->mutable_actors()) {
    if (!actor.name().empty()) continue;
    const bool lone_cost = actor.role() == "cost" && job->constraints_size() == 1;
    actor.set_name(lone_cost                  ? job->constraints(0).name()
                   : actor.role() == "critic" ? "reward"
                                              : actor.role());
  }
}

// A copy of `like` in another role; whether and what trains is not copied.
ActorSpec* AddActor(Job* job, const std::string& role, const std::string& name, const ActorSpec& like) {
  ActorSpec spec = like;
  spec.set_role(role);
  spec.set_name(name);
  spec.set_port(0);
  spec.set_replicas(1);
  spec.clear_address();
  spec.clear_freeze();
  spec.mutable_lora()->set_rank(0);
  *job->add_actors() = spec;
  return job->mutable_actors(job->actors_size() - 1);
}

absl::Status AddCritic(Job* job, const std::string& name, const ActorSpec* scorer) {
  if (FindActor(*job, "critic", name) != nullptr) return absl::OkStatus();
  if (scorer->model().empty()) {
    return Bad(absl::StrCat("actors: critic '", name,
                            "' has no model to start from: its scorer is external; ",
                            "add an actor {role: critic, name: ", name, ", model: FOLDER}"));
  }
  const ActorSpec like = *scorer;
  AddActor(job, "critic", name, like);
  return absl::OkStatus();
}

absl::Status AddImpliedActors(Job* job) {
  const ActorSpec* policy = FindActor(*job, "policy");
  if (policy == nullptr) return Bad("actors: no policy; add {role: policy, model: FOLDER}");
  const ActorSpec start = *policy;
  for (const char* role : {"rollout", "reference"}) {
    if (FindActor(*job, role) == nullptr) AddActor(job, role, role, start);
  }
  const ActorSpec* reward = FindActor(*job, "reward");
  if (reward == nullptr)
    return Bad("actors: no reward; add {role: reward, model: FOLDER} or one with an address");
  REIN_RETURN_IF_ERROR(AddCritic(job, "reward", reward));
  for (const std::string& name : ConstraintNames(*job)) {
    const ActorSpec* cost = FindActor(*job, "cost", name);
    if (cost == nullptr) {
      return Bad(absl::StrCat("actors: no cost actor for constraint '", name,
                              "'; add {role: cost, name: ", name, ", model: FOLDER}"));
    }
    REIN_RETURN_IF_ERROR(AddCritic(job, name, cost));
  }
  for (ActorSpec& actor : *job->mutable_actors()) {
    const bool of_policy = actor.role() == "rollout" || actor.role() == "reference";
    if (of_policy && actor.model().empty()) actor.set_model(start.model());
    if (actor.role() == "critic" && actor.model().empty()) {
      const ActorSpec* scorer = actor.name() == "reward" ? reward : FindActor(*job, "cost", actor.name());
      if (scorer != nullptr) actor.set_model(scorer->model());
    }
  }
  return absl::OkStatus();
}

absl::Status CheckModel(const ActorSpec& actor) {
  const bool scorer = actor.role() == "reward" || actor.role() == "cost";
  const std::string who = absl::StrCat("actors: ", actor.role(), " '", actor.name(), "'");
  if (!actor.address().empty()) {
    if (!scorer) return Bad(absl::StrCat(who, ": only reward and cost may be external (address)"));
    if (!actor.model().empty()) return Bad(absl::StrCat(who, ": give either a model or an address"));
    if (!IsLoopback(actor.address()))
      return Bad(absl::StrCat(who, ": '", actor.address(), "' is not a loopback address"));
    return absl::OkStatus();
  }
  if (actor.model().empty()) return Bad(absl::StrCat(who, ": model is missing; give a model folder"));
  if (!std::filesystem::exists(std::filesystem::path(actor.model()) / "config.json")) {
    return absl::NotFoundError(absl::StrCat(who, ": no model folder at ", actor.model(),
                                            " (config.json is not there); check the path"));
  }
  return absl::OkStatus();
}

absl::Status CheckActor(const Job& job, const ActorSpec& actor) {
  const std::vector<std::string> constraints = ConstraintNames(job);
  const bool known = std::find(constraints.begin(), constraints.end(), actor.name()) != constraints.end();
  if (actor.role() == "cost" && !known) {
    return Bad(absl::StrCat("actors: cost '", actor.name(), "' belongs to no constraint",
                            Suggestion(actor.name(), constraints)));
  }
  if (actor.role() == "critic" && actor.name() != "reward" && !known) {
    return Bad(absl::StrCat("actors: critic '", actor.name(), "' is neither 'reward' nor a constraint",
                            Suggestion(actor.name(), constraints)));
  }
  const bool trains = actor.role() == "policy" || actor.role() == "critic";
  if (trains && actor.replicas() != 1) {
    return Bad(absl::StrCat("actors: ", actor.role(), " '", actor.name(), "' has ", actor.replicas(),
                            " replicas; what trains has one"));
  }
  if (actor.port() != 0 && actor.replicas() > 1) {
    return Bad(absl::StrCat("actors: ", actor.role(), " '", actor.name(), "': ", actor.replicas(),
                            " replicas cannot share port ", actor.port(), "; leave the port out"));
  }
  if (!trains && actor.freeze_size() > 0) {
    return Bad(absl::StrCat("actors: ", actor.role(), " '", actor.name(), "' does not train; remove freeze"));
  }
  return CheckModel(actor);
}

absl::Status CheckActors(const Job& job) {
  std::map<int, std::string> ports;
  std::set<std::string> names;
  for (const ActorSpec& actor : job.actors()) {
    const bool many = actor.role() == "cost" || actor.role() == "critic";  // one a constraint
    const std::string who = many ? absl::StrCat(actor.role(), " '", actor.name(), "'") : actor.role();
    if (!names.insert(who).second)
      return Bad(absl::StrCat("actors: ", who, " is given twice; use replicas for more of one"));
    REIN_RETURN_IF_ERROR(CheckActor(job, actor));
    if (actor.port() == 0) continue;
    const auto [other, fresh] = ports.emplace(actor.port(), who);
    if (!fresh) {
      return Bad(absl::StrCat("actors: ", other->second, " and ", who, " share port ", actor.port(),
                              "; give each its own, or 0 for any"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckData(const Job& job) {
  for (const auto& [key, path] : {std::pair<const char*, std::string>{"data.prompts", job.data().prompts()},
                                  {"data.evaluation", job.data().evaluation()},
                                  {"ptx.data", job.ptx().data()}}) {
    if (!path.empty() && !std::filesystem::exists(path)) {
      return absl::NotFoundError(absl::StrCat(key, ": nothing at ", path, "; check the path"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLimits(const v1::Limits& limits) {
  if (limits.heartbeat_s() < limits.suspect_after_s() && limits.suspect_after_s() < limits.dead_after_s()) {
    return absl::OkStatus();
  }
  return Bad(absl::StrCat("limits: heartbeat_s ", FormatNumber(limits.heartbeat_s()), ", suspect_after_s ",
                          FormatNumber(limits.suspect_after_s()), " and dead_after_s ",
                          FormatNumber(limits.dead_after_s()), " must rise in this order"));
}

}  // namespace

const ActorSpec* FindActor(const Job& job, const std::string& role, const std::string& name) {
  const auto found = std::find_if(job.actors().begin(), job.actors().end(), [&](const ActorSpec& actor) {
    return actor.role() == role && (name.empty() || actor.name() == name);
  });
  return found == job.actors().end() ? nullptr : &*found;
}

absl::Status CompleteJob(Job* job) {
  REIN_RETURN_IF_ERROR(CheckConstraints(*job));
  NameActors(job);
  REIN_RETURN_IF_ERROR(AddImpliedActors(job));
  REIN_RETURN_IF_ERROR(CheckActors(*job));
  REIN_RETURN_IF_ERROR(CheckData(*job));
  return CheckLimits(job->limits());
}

}  // namespace rein::transport
