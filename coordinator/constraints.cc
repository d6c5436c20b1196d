#include "coordinator/constraints.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace rein::coordinator {
namespace {

using learning::ControllerOptions;
using learning::Multiplier;
using nlohmann::json;

// A controller that keeps lambda at `value` whatever it sees: its range is this one number.
ControllerOptions HeldAt(double value) {
  ControllerOptions options;
  options.kind = learning::ControllerKind::kAdditive;
  options.initial = options.floor = options.max = value;
  return options;
}

absl::StatusOr<ControllerOptions> OptionsOf(const std::string& mode, const v1::Controller& controller) {
  ControllerOptions options;
  REIN_ASSIGN_OR_RETURN(options.kind, learning::ParseControllerKind(controller.kind()));
  options.learning_rate = controller.learning_rate();
  options.initial = controller.initial();
  options.max = controller.max();
  options.floor = controller.floor();
  options.proportional = controller.proportional();
  options.derivative = controller.derivative();
  options.derivative_smoothing = controller.derivative_smoothing();
  options.delay_steps = controller.delay();
  if (mode == "ppo_reward") return HeldAt(0);
  if (mode == "ppo_cost") return HeldAt(1);
  if (mode == "fixed_lambda") return HeldAt(controller.initial());
  return options;
}

absl::Status CheckMode(const v1::Job& job) {
  const std::string& mode = job.algorithm().mode();
  if (mode == "ppo_reward") return absl::OkStatus();
  if (mode != "safe_rlhf_v" && mode != "ppo_cost" && mode != "fixed_lambda") {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown mode '", mode, "'; allowed: safe_rlhf_v, ppo_reward, ppo_cost, fixed_lambda"));
  }
  if (!job.constraints().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("mode ", mode,
                   " needs a constraint and the job has none; add one, or set algorithm.mode to ppo_reward"));
}

json StateToJson(const Multiplier::State& state) {
  return {{"lambda", state.lambda},
          {"integral", state.integral},
          {"smoothed", state.smoothed},
          {"previous_smoothed", state.previous_smoothed},
          {"has_previous", state.has_previous},
          {"updates", state.updates},
          {"held", state.held},
          {"window", state.window}};
}

// Reads the fields of one stored constraint and remembers the first that is not as it should be.
class StateReader {
 public:
  explicit StateReader(const json& object) : object_(object) {}

  double Number(const char* field) {
    const json value = Field(field);
    if (!value.is_number()) Refuse(field, "a number", value);
    return value.is_number() ? value.get<double>() : 0;
  }
  int64_t Count(const char* field) {
    const json value = Field(field);
    const int64_t count = value.is_number_integer() ? value.get<int64_t>() : -1;
    if (count < 0) Refuse(field, "a whole number from 0", value);
    return count;
  }
  bool Bool(const char* field) {
    const json value = Field(field);
    if (!value.is_boolean()) Refuse(field, "true or false", value);
    return value.is_boolean() && value.get<bool>();
  }
  std::deque<double> Numbers(const char* field) {
    const json value = Field(field);
    if (!value.is_array()) Refuse(field, "a list of numbers", value);
    std::deque<double> numbers;
    for (const json& entry : value.is_array() ? value : json::array()) {
      if (!entry.is_number()) Refuse(field, "a list of numbers", entry);
      numbers.push_back(entry.is_number() ? entry.get<double>() : 0);
    }
    return numbers;
  }
  const absl::Status& status() const { return status_; }

 private:
  json Field(const char* field) const {
    const auto found = object_.find(field);
    return found == object_.end() ? json() : *found;
  }
  void Refuse(const char* field, const char* wanted, const json& found) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(field, " must be ", wanted, ", not ", found.dump()));
  }

  const json& object_;
  absl::Status status_;
};

absl::StatusOr<Multiplier::State> StateFromJson(const json& object) {
  StateReader reader(object);
  Multiplier::State state;
  state.lambda = reader.Number("lambda");
  state.integral = reader.Number("integral");
  state.smoothed = reader.Number("smoothed");
  state.previous_smoothed = reader.Number("previous_smoothed");
  state.has_previous = reader.Bool("has_previous");
  state.updates = reader.Count("updates");
  state.held = reader.Bool("held");
  state.window = reader.Numbers("window");
  REIN_RETURN_IF_ERROR(reader.status());
  return state;
}

// A text field of what may be anything; empty where there is none.
std::string TextOf(const json& value, const char* field) {
  if (!value.is_object()) return "";
  const auto found = value.find(field);
  return found != value.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

absl::StatusOr<Constraints> Constraints::FromJob(const v1::Job& job) {
  REIN_RETURN_IF_ERROR(CheckMode(job));
  Constraints constraints;
  constraints.mode_ = job.algorithm().mode();
  for (const v1::Constraint& constraint : job.constraints()) {
    const std::string where = absl::StrCat("constraint '", constraint.name(), "'");
    const absl::StatusOr<learning::Signal> signal = learning::ParseSignal(constraint.signal());
    REIN_RETURN_IF_ERROR(WithContext(signal.status(), where));
    const absl::StatusOr<ControllerOptions> options = OptionsOf(constraints.mode_, constraint.controller());
    REIN_RETURN_IF_ERROR(WithContext(options.status(), where));
    constraints.names_.push_back(constraint.name());
    constraints.signals_.push_back(*signal);
    constraints.multipliers_.emplace_back(constraint.threshold(), constraint.window(), *options);
  }
  return constraints;
}

std::vector<double> Constraints::Step(const std::vector<std::vector<double>>& signals) {
  std::vector<double> lambdas;
  for (size_t c = 0; c < size(); ++c) {
    multipliers_[c].Step(signals[c]);
    lambdas.push_back(lambda(c));
  }
  return lambdas;
}

void Constraints::ScorerChanged(const std::string& name) {
  for (size_t c = 0; c < size(); ++c) {
    if (names_[c] == name) multipliers_[c].ScorerChanged();
  }
}

double Constraints::Signal(size_t constraint, double cost) const {
  return learning::ApplySignal(signals_[constraint], cost);
}

json Constraints::ToJson() const {
  json states = json::array();
  for (size_t c = 0; c < size(); ++c) {
    json state = StateToJson(multipliers_[c].state());
    state["name"] = names_[c];
    states.push_back(std::move(state));
  }
  return {{"mode", mode_}, {"constraints", std::move(states)}};
}

absl::Status Constraints::Restore(const json& state) {
  if (!state.is_object() || !state.contains("constraints") || !state["constraints"].is_array()) {
    return absl::InvalidArgumentError("the state of the constraints is not an object with a list of them");
  }
  if (const std::string mode = TextOf(state, "mode"); mode != mode_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the state was stored in mode '", mode, "', the job runs in '", mode_, "'; start a new run for it"));
  }
  std::vector<std::string> names;
  for (const json& stored : state["constraints"]) names.push_back(TextOf(stored, "name"));
  if (names != names_) {
    return absl::InvalidArgumentError(absl::StrCat("the state is that of the constraints [",
                                                   absl::StrJoin(names, ", "), "], the job has [",
                                                   absl::StrJoin(names_, ", "), "]; start a new run for it"));
  }
  std::vector<Multiplier::State> states;
  for (size_t c = 0; c < size(); ++c) {
    absl::StatusOr<Multiplier::State> read = StateFromJson(state["constraints"][c]);
    REIN_RETURN_IF_ERROR(
        WithContext(read.status(), absl::StrCat("stored state of constraint '", names_[c], "'")));
    states.push_back(*std::move(read));
  }
  for (size_t c = 0; c < size(); ++c) multipliers_[c].Restore(std::move(states[c]));
  return absl::OkStatus();
}

}  // namespace rein::coordinator
