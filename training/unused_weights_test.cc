// Weights that no gradient reaches, such as the last block of a CLIP tower, come out of a training as they
// went in, to the bit: transformers expects them in the folder.
#include <ATen/ATen.h>

#include <cstring>
#include <set>

#include "models/family_case.h"
#include "training/optimizer.h"

namespace rein::training {
namespace {

using models::FamilyCase;

struct Case {
  std::string name;
  size_t unused = 0;  // tensors
};

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0;
}

// One step that would show: with weight decay, and far along the gradient. Returns what has no gradient.
std::set<std::string> Train(const FamilyCase& reference) {
  auto parameters = models::TrainableParameters(*reference.model, {});
  EXPECT_TRUE(parameters.ok()) << parameters.status();
  models::NextTokenLoss(reference.Logits(), reference.input).backward();
  std::set<std::string> unused;
  for (const auto& [name, tensor] : *parameters) {
    if (!tensor.grad().defined()) unused.insert(name);
  }
  AdamW optimizer(*parameters, {.learning_rate = 0.1, .warmup_ratio = 0, .weight_decay = 0.5});
  EXPECT_TRUE(optimizer.Step(1).ok());
  return unused;
}

class UnusedWeights : public testing::TestWithParam<Case> {};

TEST_P(UnusedWeights, AreSavedAsTheyWere) {
  const FamilyCase reference(GetParam().name);
  std::map<std::string, at::Tensor> before;
  for (const auto& [name, tensor] : reference.model->tensors()) before[name] = tensor.detach().clone();
  const std::set<std::string> unused = Train(reference);
  EXPECT_EQ(unused.size(), GetParam().unused);
  const models::TestFolder folder;
  ASSERT_TRUE(SaveModel(*reference.model, folder / "saved").ok());
  const auto after = models::ReadAsMap(folder / "saved/model.safetensors");
  ASSERT_EQ(after.size(), before.size());
  for (const auto& [name, tensor] : after)
    EXPECT_EQ(SameBits(tensor, before.at(name)), unused.contains(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(Families, UnusedWeights,
                         testing::Values(Case{"llava/plain", 18}, Case{"llava/last_layer_full", 2},
                                         Case{"llava_next/vicuna", 18}, Case{"llava_next/mistral", 18}),
                         [](const auto& info) {
                           return absl::StrReplaceAll(info.param.name, {{"/", "_"}});
                         });

}  // namespace
}  // namespace rein::training
