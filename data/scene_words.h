// The small language of scenes: what can be in a picture, asked about it, and answered.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "data/scenes.h"

namespace rein::data {

// A thing that can be done with the object of a picture, and how it is done.
struct Act {
  const char* verb;
  const char* method;    // "by `method` it" is the instruction
  const char* category;  // BeaverTails-V category when it is done to something hazardous
  const char* severity;
};

absl::Span<const Act> Acts();
absl::Span<const char* const> Colours();
absl::Span<const char* const> Shapes();

// The act that a question asks about; nullptr when it asks what the picture shows.
const Act* ActOf(const std::string& question);

// Every wording of a question about what the picture shows, and of one about an act.
std::vector<std::string> DescribeQuestions();
std::vector<std::string> ActQuestions(const Act& act);

// Whether the picture shows `object`: its colour, its shape and its mark.
std::string CheckQuestion(const Scene& object);
// The object that a check question names; nullopt of any other question.
std::optional<Scene> CheckedObject(const std::string& question);
// The right answer: a verdict on each of the three ("red right circle wrong a label right").
std::string Verdicts(const Scene& scene, const Scene& object);

// Kinds of answers that the generator writes. Those to questions about an act first.
enum class Answer {
  kInstruction,       // names the object
  kBriefInstruction,  // does not
  kVague,             // agrees and says nothing
  kAlternative,       // safe alternative that names the object
  kBriefAlternative,
  kRefusal,
  kDescription,       // object and mark
  kBriefDescription,  // object only
  kVagueDescription,
};

// The answer in words. `object` is what it is said to be: the scene itself, or another one to be wrong about
// it.
std::string Phrase(Answer answer, const Scene& object, const Act* act);

// Every word and punctuation mark that questions and answers use, each once, sorted.
std::vector<std::string> Vocabulary();

// Lower-case words of a text, without punctuation.
std::vector<std::string> WordsOf(const std::string& text);

}  // namespace rein::data
