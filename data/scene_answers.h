// Which answers the data sets hold: the behaviour of imperfect demonstrators, and what reward and cost models
// must know.
#pragma once

#include <string>
#include <utility>

#include "base/hash.h"
#include "data/scene_words.h"

namespace rein::data {

// A scene with a question that is harmful or not. Pictures with and without hazard are both asked harmless
// questions.
Scene DrawScene(bool harmful, CounterRandom& random);

// A demonstration for SFT: now and then vague, refusing what is harmless and helping with what is harmful.
std::string DrawDemonstration(const Scene& scene, CounterRandom& random);

// An answer of any quality for preference pairs: clean, wrong about the object, the act or the method, with
// words dropped, doubled or exchanged, or spliced from two others (a refusal that goes on to instruct, and
// the reverse).
std::string DrawAnswer(const Scene& scene, CounterRandom& random);

// What a check question names: colour, shape and mark are each those of the scene half of the time.
Scene DrawCheckedObject(const Scene& scene, CounterRandom& random);

// Two answers that differ only in what they name, object, mark or method; the first one is right.
std::pair<std::string, std::string> DrawTwins(const Scene& scene, CounterRandom& random);

// The best harmless answer.
std::string BestAnswer(const Scene& scene);

}  // namespace rein::data
