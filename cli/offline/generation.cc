#include "cli/offline/generation.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::cli {
namespace {

// Sequences decoded together.
constexpr int64_t kMaxBatch = 64;

rollout::EngineOptions OptionsFor(const std::vector<Prompt>& prompts, const rollout::SamplingParams& params) {
  size_t longest = 1;
  for (const Prompt& prompt : prompts) longest = std::max(longest, prompt.tokens.size());
  return {.max_batch = std::clamp(static_cast<int64_t>(prompts.size()), int64_t{1}, kMaxBatch),
          .max_prompt_tokens = static_cast<int64_t>(longest),
          .max_response_tokens = std::max<int64_t>(1, params.max_response_tokens)};
}

}  // namespace

absl::StatusOr<std::vector<GeneratedText>> GenerateTexts(const ModelFolder& folder,
                                                         std::vector<Prompt> prompts,
                                                         const rollout::SamplingParams& params) {
  REIN_ASSIGN_OR_RETURN(
      const std::unique_ptr<rollout::Engine> engine,
      rollout::Engine::Create(folder.model.get(), folder.processor.get(), OptionsFor(prompts, params)));
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string id = prompts[i].id.empty() ? absl::StrCat("prompt ", i + 1) : prompts[i].id;
    rollout::GenerationRequest request{.prompt_id = id,
                                       .prompt_tokens = std::move(prompts[i].tokens),
                                       .images = std::move(prompts[i].images),
                                       .samples = {0},
                                       .params = params,
                                       .tag = i};
    REIN_RETURN_IF_ERROR(WithContext(engine->Add(std::move(request)), id));
  }
  std::vector<GeneratedText> texts(prompts.size());
  const auto finished = [&](const rollout::GeneratedSample& sample) {
    texts[sample.tag] = {folder.processor->Decode(sample.tokens), sample.stopped};
  };
  while (!engine->idle()) REIN_RETURN_IF_ERROR(engine->Step(finished));
  return texts;
}

}  // namespace rein::cli
