#include "data/scenes.h"

#include <cmath>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "data/base_model.h"
#include "data/scene_answers.h"
#include "data/scene_picture.h"
#include "data/scene_words.h"

namespace rein::data {
namespace {

constexpr int kSmallestPicture = 16, kLargestPicture = 256, kPictureStep = 8;
constexpr int kMostRows = 1000000;
// Answers are drawn again until a pair differs in what it is meant to teach; this often at most.
constexpr int kAttempts = 64;

// Of pairs that differ only in what they name.
constexpr double kTwinShare = 0.35;

// Of captions that answer a check question.
constexpr double kCheckShare = 0.5;

using Rows = std::vector<PreferenceRow>;

absl::Status CheckOptions(const ScenesOptions& options) {
  REIN_RETURN_IF_ERROR(CheckBaseModelFamily(options.family));
  if (options.picture_size < kSmallestPicture || options.picture_size > kLargestPicture ||
      options.picture_size % kPictureStep != 0) {
    return absl::InvalidArgumentError(absl::StrCat("picture_size is ", options.picture_size,
                                                   "; allowed: multiples of ", kPictureStep, " from ",
                                                   kSmallestPicture, " to ", kLargestPicture));
  }
  if (!(options.harmful_share >= 0 && options.harmful_share <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("harmful_share is ", options.harmful_share, "; allowed: 0 to 1"));
  }
  for (const int rows : {options.train_rows, options.evaluation_rows}) {
    if (rows < 1 || rows > kMostRows) {
      return absl::InvalidArgumentError(absl::StrCat("rows are ", rows, "; allowed: 1 to ", kMostRows));
    }
  }
  return absl::OkStatus();
}

// "scenes/red_circle_hazard/000012.png": SceneOfRow reads it.
std::string PathOf(const Scene& scene, int number) {
  const char* mark = scene.hazard ? "hazard" : scene.label ? "label" : "plain";
  return absl::StrFormat("scenes/%s_%s_%s/%06d.png", scene.colour, scene.shape, mark, number);
}

std::string SeverityOf(const Scene& scene) {
  const Act* act = ActOf(scene.question);
  return scene.harmful && act != nullptr ? act->severity : "safe";
}

// 1 or 2: the larger one, or by the coin where they are equal.
int LargerOf(int first, int second, CounterRandom& random) {
  const int coin = 1 + static_cast<int>(random.Below(2));
  return first == second ? coin : first > second ? 1 : 2;
}

void Rate(const Scene& scene, CounterRandom& random, PreferenceRow& row) {
  for (int i = 0; i < 2; ++i) {
    const Judgement judgement = JudgeAnswer(scene, row.response[i]);
    row.harmless_rate[i] = judgement.harmlessness;
    row.is_safe[i] = judgement.safe();
    row.helpful_rate[i] = judgement.helpfulness;
  }
  row.more_helpful = LargerOf(*row.helpful_rate[0], *row.helpful_rate[1], random);
  row.safer = LargerOf(row.harmless_rate[0], row.harmless_rate[1], random);
}

// A kind of file: how a scene and its two answers are drawn.
struct Recipe {
  const char* file;
  uint64_t stream;  // of random numbers
  int rows;
  double harmful_share;
  void (*answer)(const Scene& scene, CounterRandom& random, PreferenceRow& row);
  void (*change)(Scene& scene, CounterRandom& random);  // may be null
};

void AnswerWithCaption(const Scene& scene, CounterRandom&, PreferenceRow& row) {
  const std::optional<Scene> object = CheckedObject(scene.question);
  row.response[0] = object ? Verdicts(scene, *object) : Phrase(Answer::kDescription, scene, nullptr);
  row.response[1] = Phrase(Answer::kVagueDescription, scene, nullptr);
}

void AnswerWithDemonstration(const Scene& scene, CounterRandom& random, PreferenceRow& row) {
  row.response[0] = DrawDemonstration(scene, random);
  row.response[1] = BestAnswer(scene);
  if (row.response[0] == row.response[1]) row.response[1] = Phrase(Answer::kRefusal, scene, nullptr);
}

// Two answers that differ in helpfulness, and for every other harmful question in safety too. Some differ
// only in what they name: without these a reward model does not look at the picture.
void AnswerWithPair(const Scene& scene, CounterRandom& random, PreferenceRow& row) {
  if (random.Uniform() < kTwinShare) {
    const bool swap = random.Below(2) == 0;
    std::tie(row.response[swap ? 1 : 0], row.response[swap ? 0 : 1]) = DrawTwins(scene, random);
    return;
  }
  const bool about_safety = scene.harmful && random.Below(2) == 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    for (std::string& response : row.response) response = DrawAnswer(scene, random);
    const Judgement first = JudgeAnswer(scene, row.response[0]), second = JudgeAnswer(scene, row.response[1]);
    if (first.helpfulness != second.helpfulness && (!about_safety || first.safe() != second.safe())) return;
  }
  row.response[0] = BestAnswer(scene);
  row.response[1] = Phrase(Answer::kVague, scene, ActOf(scene.question));
}

// The best and the worst: reference answers.
void AnswerWithReferences(const Scene& scene, CounterRandom&, PreferenceRow& row) {
  row.response[0] = BestAnswer(scene);
  row.response[1] = scene.harmful ? Phrase(Answer::kInstruction, scene, ActOf(scene.question))
                                  : Phrase(Answer::kRefusal, scene, nullptr);
}

// Captions describe every kind of picture, and half of them say what of a question's words is true of it: the
// models that start from them have to compare words with what they see, not only to name what they see.
void AskForCaption(Scene& scene, CounterRandom& random) {
  const std::vector<std::string> open = DescribeQuestions();
  scene.question = random.Uniform() < kCheckShare ? CheckQuestion(DrawCheckedObject(scene, random))
                                                  : open[random.Below(open.size())];
  scene.harmful = false;
  scene.category = "benign";
}

// Spreads the share evenly over the rows, so that any part of a file holds it.
bool IsHarmful(int number, double share) {
  return std::floor((number + 1) * share) > std::floor(number * share);
}

absl::StatusOr<PreferenceRow> MakeRow(const Recipe& recipe, int number, int picture_size, uint64_t seed) {
  CounterRandom random(RandomBits(RandomBits(seed, recipe.stream), static_cast<uint64_t>(number)));
  Scene scene = DrawScene(IsHarmful(number, recipe.harmful_share), random);
  if (recipe.change != nullptr) recipe.change(scene, random);
  PreferenceRow row;
  row.question = scene.question;
  row.category = scene.category;
  row.severity = SeverityOf(scene);
  Picture& picture = row.pictures.emplace_back();
  picture.path = PathOf(scene, number);
  REIN_ASSIGN_OR_RETURN(picture.bytes, RenderScene(scene, picture_size, random));
  recipe.answer(scene, random, row);
  Rate(scene, random, row);
  return row;
}

absl::Status WriteFile(const Recipe& recipe, const ScenesOptions& options,
                       const std::filesystem::path& folder) {
  Rows rows;
  for (int i = 0; i < recipe.rows; ++i) {
    REIN_ASSIGN_OR_RETURN(PreferenceRow row, MakeRow(recipe, i, options.picture_size, options.seed));
    rows.push_back(std::move(row));
  }
  return WritePreferences(folder / recipe.file, rows);
}

std::vector<Recipe> Recipes(const ScenesOptions& options) {
  const int half = (options.train_rows + 1) / 2;
  const double share = options.harmful_share;
  return {{"captions.parquet", 1, options.train_rows, 0.5, AnswerWithCaption, AskForCaption},
          {"sft.parquet", 2, options.train_rows, share, AnswerWithDemonstration, nullptr},
          {"preferences.parquet", 3, options.train_rows, 0.5, AnswerWithPair, nullptr},
          {"prompts.parquet", 4, half, share, AnswerWithReferences, nullptr},
          {"ptx.parquet", 5, half, 0.0, AnswerWithDemonstration, nullptr},
          {"evaluation.parquet", 6, options.evaluation_rows, share, AnswerWithReferences, nullptr}};
}

absl::Status WriteAll(const ScenesOptions& options, const std::filesystem::path& folder) {
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  for (const Recipe& recipe : Recipes(options)) REIN_RETURN_IF_ERROR(WriteFile(recipe, options, folder));
  return WriteBaseModel(options.family, options.picture_size, folder / "base");
}

std::filesystem::path PartialFolder(const std::filesystem::path& folder) {
  std::filesystem::path partial = folder.has_filename() ? folder : folder.parent_path();
  return partial += ".partial";
}

bool IsAmong(absl::Span<const char* const> names, absl::string_view name) {
  for (const char* known : names) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Scene> SceneOfRow(const PreferenceRow& row) {
  const std::string path = row.pictures.size() == 1 ? row.pictures[0].path : "";
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  const std::vector<std::string> words =
      parts.size() == 3 && parts[0] == "scenes" ? absl::StrSplit(parts[1], '_') : std::vector<std::string>();
  const bool known = words.size() == 3 && IsAmong(Colours(), words[0]) && IsAmong(Shapes(), words[1]) &&
                     IsAmong({"hazard", "label", "plain"}, words[2]);
  if (!known) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path,
                     "\" is not the picture of a scene; rows of `rein data scenes` "
                     "have paths like scenes/red_circle_hazard/000012.png"));
  }
  Scene scene{
      .shape = words[1], .colour = words[0], .hazard = words[2] == "hazard", .label = words[2] == "label"};
  scene.question = row.question;
  scene.harmful = scene.hazard && ActOf(row.question) != nullptr;
  scene.category = row.category;
  return scene;
}

absl::Status MakeScenes(const ScenesOptions& options, const std::filesystem::path& folder) {
  REIN_RETURN_IF_ERROR(CheckOptions(options));
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_empty(folder, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder.string(), " holds something: remove it or name another"));
  }
  const std::filesystem::path partial = PartialFolder(folder);
  std::filesystem::remove_all(partial, error);
  if (absl::Status written = WriteAll(options, partial); !written.ok()) {
    std::filesystem::remove_all(partial, error);
    return written;
  }
  std::filesystem::rename(partial, folder, error);
  if (error) return SystemError(error.value(), "rename the scenes to", folder);
  return Fsync(std::filesystem::absolute(folder).lexically_normal().parent_path());
}

}  // namespace rein::data
