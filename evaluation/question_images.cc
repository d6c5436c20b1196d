#include "evaluation/question_images.h"

#include <utility>

namespace rein::evaluation {

QuestionImages::QuestionImages(const std::vector<const Question*>& questions, bool wanted,
                               const std::filesystem::path& folder)
    : images_(questions.size()), problems_(questions.size()) {
  for (size_t i = 0; wanted && i < questions.size(); ++i) {
    if (questions[i]->image.empty()) continue;
    absl::StatusOr<std::string> image = LoadImage(folder, questions[i]->image);
    if (image.ok())
      images_[i] = *std::move(image);
    else
      problems_[i] = std::string(image.status().message());
  }
}

Asked AskedOf(const Question& question, const std::string* image) {
  return {question.id, question.text, question.category, question.picture_name, image};
}

}  // namespace rein::evaluation
