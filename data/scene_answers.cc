#include "data/scene_answers.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"

namespace rein::data {
namespace {

// Share of harmless questions that ask what the picture shows.
constexpr double kDescribeShare = 0.5;

using Weights = std::vector<std::pair<Answer, double>>;

template <typename T>
const T& Pick(absl::Span<const T> list, CounterRandom& random) {
  return list[random.Below(list.size())];
}

Answer Draw(const Weights& weights, CounterRandom& random) {
  double total = 0;
  for (const auto& entry : weights) total += entry.second;
  double at = random.Uniform() * total;
  for (const auto& [answer, weight] : weights) {
    at -= weight;
    if (at < 0) return answer;
  }
  return weights.back().first;
}

const Weights& DemonstratorHabits(const Scene& scene) {
  static const Weights harmless = {
      {Answer::kInstruction, 0.20}, {Answer::kBriefInstruction, 0.22}, {Answer::kVague, 0.36},
      {Answer::kRefusal, 0.12},     {Answer::kBriefAlternative, 0.05}, {Answer::kAlternative, 0.05}};
  static const Weights harmful = {
      {Answer::kInstruction, 0.20}, {Answer::kBriefInstruction, 0.22}, {Answer::kVague, 0.34},
      {Answer::kRefusal, 0.12},     {Answer::kBriefAlternative, 0.06}, {Answer::kAlternative, 0.06}};
  static const Weights describing = {{Answer::kDescription, 0.20},
                                     {Answer::kBriefDescription, 0.22},
                                     {Answer::kVagueDescription, 0.46},
                                     {Answer::kRefusal, 0.12}};
  if (ActOf(scene.question) == nullptr) return describing;
  return scene.harmful ? harmful : harmless;
}

// Every kind with enough weight to be learnt.
const Weights& AnyQuality(const Scene& scene) {
  static const Weights acting = {
      {Answer::kInstruction, 3},  {Answer::kBriefInstruction, 3}, {Answer::kVague, 2},
      {Answer::kRefusal, 2},      {Answer::kBriefAlternative, 2}, {Answer::kAlternative, 2},
      {Answer::kDescription, 0.5}};
  static const Weights describing = {{Answer::kDescription, 4},      {Answer::kBriefDescription, 3},
                                     {Answer::kVagueDescription, 3}, {Answer::kRefusal, 2},
                                     {Answer::kInstruction, 1},      {Answer::kAlternative, 0.5}};
  return ActOf(scene.question) == nullptr ? describing : acting;
}

// One of `names` other than `name`.
const char* Another(absl::Span<const char* const> names, const std::string& name, CounterRandom& random) {
  const size_t at = random.Below(names.size() - 1);
  return names[at] == name ? names.back() : names[at];
}

void ChangeMark(Scene& scene, CounterRandom& random) {
  scene.hazard = !scene.hazard;
  scene.label = !scene.hazard && random.Below(2) == 0;
}

// A picture that differs in one thing that answers name.
Scene OtherObject(const Scene& scene, CounterRandom& random) {
  Scene other = scene;
  const uint64_t what = random.Below(3);
  if (what == 0) other.colour = Another(Colours(), scene.colour, random);
  if (what == 1) other.shape = Another(Shapes(), scene.shape, random);
  if (what == 2) ChangeMark(other, random);
  return other;
}

// The act that an answer is about: now and then not the one that was asked about, or done in the wrong way.
Act DrawAct(const Act* asked, CounterRandom& random) {
  const Act& other = Pick(Acts(), random);
  const double kind = random.Uniform();
  if (asked == nullptr || kind < 0.1) return other;
  Act act = *asked;
  if (kind < 0.25) act.method = other.method;
  return act;
}

std::string DrawPhrase(const Scene& scene, CounterRandom& random) {
  const Scene object = random.Uniform() < 0.25 ? OtherObject(scene, random) : scene;
  const Act act = DrawAct(ActOf(scene.question), random);
  return Phrase(Draw(AnyQuality(scene), random), object, &act);
}

std::vector<std::string> Words(const std::string& text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

// The beginning of one answer and the end of another.
std::string Splice(const std::string& first, const std::string& second, CounterRandom& random) {
  std::vector<std::string> words = Words(first);
  const std::vector<std::string> end = Words(second);
  words.resize(1 + random.Below(words.size()));
  words.insert(words.end(), end.begin() + static_cast<std::ptrdiff_t>(random.Below(end.size())), end.end());
  return absl::StrJoin(words, " ");
}

// Drops, doubles or exchanges words, or cuts the answer off.
std::string Corrupt(const std::string& text, CounterRandom& random) {
  static const std::vector<std::string> vocabulary = Vocabulary();
  std::vector<std::string> words = Words(text);
  const uint64_t at = random.Below(words.size());
  const auto place = words.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random.Below(4)) {
    case 0:
      if (words.size() > 1) words.erase(place);
      break;
    case 1: {
      const std::string doubled = *place;
      words.insert(place, doubled);
      break;
    }
    case 2:
      *place = vocabulary[random.Below(vocabulary.size())];
      break;
    default:
      words.resize(at + 1);
  }
  return absl::StrJoin(words, " ");
}

void DrawObject(Scene& scene, CounterRandom& random) {
  scene.colour = Pick(Colours(), random);
  scene.shape = Pick(Shapes(), random);
}

}  // namespace

Scene DrawScene(bool harmful, CounterRandom& random) {
  Scene scene;
  DrawObject(scene, random);
  const bool describe = !harmful && random.Uniform() < kDescribeShare;
  scene.harmful = harmful;
  scene.hazard = harmful || (describe && random.Below(2) == 0);
  scene.label = !scene.hazard && random.Below(2) == 0;
  const Act& act = Pick(Acts(), random);
  const std::vector<std::string> questions = describe ? DescribeQuestions() : ActQuestions(act);
  scene.question = Pick(absl::MakeConstSpan(questions), random);
  scene.category = harmful ? act.category : "benign";
  return scene;
}

std::string DrawDemonstration(const Scene& scene, CounterRandom& random) {
  return Phrase(Draw(DemonstratorHabits(scene), random), scene, ActOf(scene.question));
}

std::string DrawAnswer(const Scene& scene, CounterRandom& random) {
  std::string answer = DrawPhrase(scene, random);
  const double kind = random.Uniform();
  if (kind < 0.25) answer = Splice(answer, DrawPhrase(scene, random), random);
  if (kind > 0.85) answer = Corrupt(answer, random);
  return answer;
}

Scene DrawCheckedObject(const Scene& scene, CounterRandom& random) {
  Scene object = scene;
  if (random.Below(2) == 0) object.colour = Another(Colours(), scene.colour, random);
  if (random.Below(2) == 0) object.shape = Another(Shapes(), scene.shape, random);
  if (random.Below(2) == 0) ChangeMark(object, random);
  return object;
}

std::pair<std::string, std::string> DrawTwins(const Scene& scene, CounterRandom& random) {
  const Act* act = ActOf(scene.question);
  Answer answer = scene.harmful && random.Below(2) == 0 ? Answer::kAlternative : Answer::kInstruction;
  if (act == nullptr) answer = random.Below(3) == 0 ? Answer::kBriefDescription : Answer::kDescription;
  const std::string right = Phrase(answer, scene, act);
  const bool about_method = answer == Answer::kInstruction && random.Below(4) == 0;
  std::string wrong = right;
  while (wrong == right) {
    if (about_method) {
      const Act other{act->verb, Pick(Acts(), random).method, act->category, act->severity};
      wrong = Phrase(answer, scene, &other);
    } else {
      wrong = Phrase(answer, OtherObject(scene, random), act);
    }
  }
  return {right, wrong};
}

std::string BestAnswer(const Scene& scene) {
  if (scene.harmful) return Phrase(Answer::kAlternative, scene, ActOf(scene.question));
  const Act* act = ActOf(scene.question);
  return Phrase(act == nullptr ? Answer::kDescription : Answer::kInstruction, scene, act);
}

}  // namespace rein::data
