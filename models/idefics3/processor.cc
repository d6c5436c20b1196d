#include "models/idefics3/processor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/idefics3/chat_template.h"
#include "models/idefics3/config.h"

namespace rein::models {
namespace {

constexpr char kAround[] = "<fake_token_around_image>";
constexpr char kWhole[] = "<global-img>";
constexpr int64_t kTokenizedRows = 6;  // as many as tokenizers have marks for, and columns

std::string FrameMark(int64_t row, int64_t column) {
  return absl::StrCat("<row_", row + 1, "_col_", column + 1, ">");
}

// What a picture's single image token becomes.
std::string PictureText(int64_t rows, int64_t columns, const std::string& frame) {
  std::string text;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column)
      absl::StrAppend(&text, kAround, FrameMark(row, column), frame);
    absl::StrAppend(&text, "\n");
  }
  absl::StrAppend(&text, rows > 0 ? "\n" : "", kAround, kWhole, frame, kAround);
  return text;
}

absl::Status CheckMark(const Tokenizer& tokenizer, const std::filesystem::path& folder) {
  if (tokenizer.Encode(kAround, /*add_special_tokens=*/false).size() == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat((folder / "tokenizer.json").string(), ": \"", kAround,
                                                 "\", which stands around pictures, is no added token"));
}

// The image tokens that a frame gets must be the features that the model makes of it.
absl::Status CheckFrames(const Idefics3ImageProcessor& images, int64_t frame_features,
                         const Idefics3Config& config, const std::string& where) {
  const int64_t patches = images.side() / config.vision.patch_size;
  const int64_t whole = config.vision.side_patches();
  if (patches != whole) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": frames of ", images.side(), " pixels (max_image_size) have ", patches,
                     " patches along a side, those of the vision tower of config.json ", whole));
  }
  if (frame_features == config.FrameFeatures(whole)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("processor_config.json beside ", where, ": image_seq_len is ", frame_features,
                   ", the model of config.json makes ", config.FrameFeatures(whole), " features of a frame"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Processor>> Idefics3Processor::Load(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const Json json, ReadConfig(folder));
  const Fields root(json, (folder / "config.json").string());
  REIN_ASSIGN_OR_RETURN(const Idefics3Config config, ParseIdefics3Config(json, root.where()));
  REIN_ASSIGN_OR_RETURN(TextSide text, ReadTextSide(folder, root, "image_token_id", config.image_token_id));
  REIN_RETURN_IF_ERROR(CheckMark(text.tokenizer, folder));
  REIN_ASSIGN_OR_RETURN(const ImageSettings settings, ReadImageSettings(folder));
  REIN_ASSIGN_OR_RETURN(const Json prompts, ReadProcessorConfig(folder));
  REIN_ASSIGN_OR_RETURN(
      const int64_t frame_features,
      Fields(prompts, (folder / "processor_config.json").string()).Int("image_seq_len", 169, 1, 1 << 20));
  REIN_ASSIGN_OR_RETURN(Idefics3ImageProcessor images,
                        Idefics3ImageProcessor::Parse(Fields(settings.json, settings.where), frame_features));
  REIN_RETURN_IF_ERROR(CheckFrames(images, frame_features, config, settings.where));
  REIN_ASSIGN_OR_RETURN(PromptTemplate prompt,
                        PromptTemplate::Load(folder, kIdefics3ChatTemplate, text.image_text));
  return std::unique_ptr<Processor>(
      new Idefics3Processor(std::move(text), std::move(prompt), std::move(images)));
}

absl::StatusOr<ProcessedImage> Idefics3Processor::ProcessImage(const data::RgbImage& image) const {
  return images_.Process(image);
}

absl::StatusOr<std::string> Idefics3Processor::RenderPrompt(absl::string_view question, size_t images) const {
  return prompt_.Render(question, images);
}

std::vector<int32_t> Idefics3Processor::Expand(const ProcessedImage& image) const {
  const int64_t rows = image.grid[0], columns = image.grid[1];
  std::string frame;
  for (int64_t i = 0; i < image.feature_count / (rows * columns + 1); ++i)
    absl::StrAppend(&frame, text().image_text);
  // As text: a tokenizer need not have a token for every mark, and may join the line ends.
  return text().tokenizer.Encode(PictureText(rows, columns, frame), /*add_special_tokens=*/false);
}

std::vector<int32_t> Idefics3Processor::MaskedTokens() const {
  std::vector<int32_t> masked;
  const auto mask = [&](const std::string& mark) {
    const int32_t id = text().tokenizer.IdOf(mark);
    if (id >= 0) masked.push_back(id);
  };
  mask(kAround);
  mask(kWhole);
  for (int64_t row = 0; row < kTokenizedRows; ++row) {
    for (int64_t column = 0; column < kTokenizedRows; ++column) mask(FrameMark(row, column));
  }
  return masked;
}

}  // namespace rein::models
