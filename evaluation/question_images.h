// The pictures of a batch of questions, for judges that look at them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "evaluation/answers.h"

namespace rein::evaluation {

class QuestionImages {
 public:
  // Reads the pictures that the questions name below `folder`; none where `wanted` is false.
  QuestionImages(const std::vector<const Question*>& questions, bool wanted,
                 const std::filesystem::path& folder);

  // Encoded; nullptr: there is none. Lives as long as this.
  const std::string* image(size_t i) const { return images_[i].empty() ? nullptr : &images_[i]; }
  // Why the picture cannot be read; empty: it could be, or there is none.
  const std::string& problem(size_t i) const { return problems_[i]; }

 private:
  std::vector<std::string> images_, problems_;
};

// A question as a judge is asked it.
Asked AskedOf(const Question& question, const std::string* image);

}  // namespace rein::evaluation
