#include "guard/model/guard_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "guard/model/tiny_guard.h"

namespace rein::guard {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using training::FreshFolder;

// The header says how large the picture is; nothing else of it is looked at.
std::string PngThatClaims(uint32_t width, uint32_t height) {
  std::string png = training::TinyPng(1, 2, 3);
  for (int i = 0; i < 4; ++i) {
    png[16 + i] = static_cast<char>(width >> (24 - 8 * i));
    png[20 + i] = static_cast<char>(height >> (24 - 8 * i));
  }
  return png;
}

class GuardModelTest : public testing::Test {
 protected:
  GuardModelTest() : folder_(FreshFolder("guard")) { WriteTinyGuard(folder_); }

  std::unique_ptr<GuardModel> Load(const GuardModelOptions& options = {}) {
    auto guard = GuardModel::Load(folder_, options);
    EXPECT_TRUE(guard.ok()) << guard.status();
    return *std::move(guard);
  }

  const std::filesystem::path folder_;
  const Question red_{"a", "what?", {{training::TinyPng(250, 20, 20), ""}}};
  const Question blue_{"b", "how?", {{training::TinyPng(20, 20, 250), ""}}};
  const Question text_{"c", "who is there?", {}};
  const std::string yes_ = "yes", long_ = "a longer answer, to be sure";
};

void ExpectNear(const Verdict& a, const Verdict& b) {
  EXPECT_EQ(a.severity, b.severity);
  EXPECT_EQ(a.categories, b.categories);
  for (size_t i = 0; i < a.at_or_above.size(); ++i) EXPECT_NEAR(a.at_or_above[i], b.at_or_above[i], 1e-5);
}

TEST_F(GuardModelTest, SaysTheSameOfItemsTogetherAndAlone) {
  const std::vector<Item> items = {{&red_},         {&red_, &yes_}, {&red_, &long_},
                                   {&blue_, &yes_}, {&text_},       {&red_}};
  const auto guard = Load();
  const auto together = guard->Moderate(items);
  ASSERT_TRUE(together.ok()) << together.status();
  ASSERT_EQ(together->size(), items.size());
  const auto small_packs = Load({.micro_batch_tokens = 30});
  const auto packed = small_packs->Moderate(items);
  ASSERT_TRUE(packed.ok()) << packed.status();
  for (size_t i = 0; i < items.size(); ++i) {
    const auto alone = guard->Moderate({&items[i], 1});
    ASSERT_TRUE(alone.ok()) << alone.status();
    ExpectNear((*together)[i], (*alone)[0]);
    ExpectNear((*packed)[i], (*alone)[0]);
  }
  EXPECT_NE((*together)[0].at_or_above, (*together)[1].at_or_above);
  EXPECT_NE((*together)[1].at_or_above, (*together)[2].at_or_above);
  EXPECT_NE((*together)[1].at_or_above, (*together)[3].at_or_above);
}

TEST_F(GuardModelTest, ReadsTheHeadAtTheLastToken) {
  const auto guard = Load();
  const c10::NoGradGuard no_grad;
  std::vector<int32_t> tokens = guard->processor().EncodePrompt(text_.text, {}).value();
  for (const bool is_answer : {false, true}) {
    if (is_answer) {
      const std::vector<int32_t> answer = guard->processor().EncodeResponse(yes_);
      tokens.insert(tokens.end(), answer.begin(), answer.end());
      EXPECT_EQ(tokens.back(), training::kTinyEnd);
    }
    const auto count = static_cast<int64_t>(tokens.size());
    const models::PackedInput input{
        .token_ids = at::tensor(std::vector<int64_t>(tokens.begin(), tokens.end())),
        .cu_seqlens = {0, count}};
    const at::Tensor hidden = guard->model().Forward(input).value();
    const GuardHead head = ReadGuardHead(folder_, hidden.size(1)).value();
    const double logit = HeadLogits(head, hidden.narrow(0, count - 1, 1))[0][0].item<double>();
    const Item item{&text_, is_answer ? &yes_ : nullptr};
    EXPECT_NEAR(guard->Moderate({&item, 1})->at(0).at_or_above[0], 1 / (1 + std::exp(-logit)), 1e-5);
  }
}

TEST_F(GuardModelTest, SurvivesItemsThatItCannotLookAt) {
  const Question huge{"huge", "what?", {{PngThatClaims(10000, 5000), ""}}};
  const Question broken{"broken", "what?", {red_.pictures[0], {"rubbish", ""}}};
  const Question cut{"cut", "what?", {{red_.pictures[0].bytes.substr(0, 40), ""}}};
  const Question endless{"endless", std::string(300, 'x'), {}};
  const std::string endless_answer(300, 'x');
  const std::vector<Item> items = {
      {&red_}, {&huge}, {&broken}, {&huge, &yes_}, {&cut}, {&endless}, {&red_, &endless_answer}, {&blue_}};
  const auto guard = Load();
  const auto verdicts = guard->Moderate(items);
  ASSERT_TRUE(verdicts.ok()) << verdicts.status();
  const char* const reasons[] = {"",
                                 "40000000",
                                 "picture 2",
                                 "40000000",
                                 "picture 1",
                                 "max_position_embeddings",
                                 "max_position_embeddings",
                                 ""};
  for (size_t i = 0; i < items.size(); ++i) {
    const Verdict& verdict = (*verdicts)[i];
    EXPECT_EQ(verdict.not_moderated.empty(), *reasons[i] == '\0') << i;
    EXPECT_THAT(verdict.not_moderated, HasSubstr(reasons[i])) << i;
    if (*reasons[i] != '\0') EXPECT_EQ(verdict.severity, Severity::kSevere);
  }
  ExpectNear((*verdicts)[7], guard->Moderate({&items[7], 1})->at(0));
}

TEST_F(GuardModelTest, TakesLimitsOfPictures) {
  const auto guard = Load({.images = {.max_pixels = 63}});
  const Item item{&red_};
  EXPECT_THAT(guard->Moderate({&item, 1})->at(0).not_moderated, HasSubstr("63"));
}

TEST_F(GuardModelTest, HasNothingToSayOfNothing) { EXPECT_TRUE(Load()->Moderate({})->empty()); }

TEST_F(GuardModelTest, ChangesItsDigestWithHeadAndThresholds) {
  const std::string before = Load()->digest();
  EXPECT_EQ(Load()->digest(), before);
  ASSERT_EQ(WriteGuardConfig({.thresholds = {.category = EachCategory(0.7)}}, folder_), absl::OkStatus());
  const std::string config = Load()->digest();
  EXPECT_NE(config, before);
  ASSERT_EQ(WriteGuardHead(DrawGuardHead(TinyHidden(folder_), 9), folder_), absl::OkStatus());
  EXPECT_NE(Load()->digest(), config);
}

TEST_F(GuardModelTest, NamesWhatIsWrongWithAFolder) {
  const auto error = [this] { return GuardModel::Load(folder_).status(); };
  EXPECT_EQ(GuardModel::Load("/nowhere/guard").status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(WriteGuardHead(DrawGuardHead(5, 1), folder_), absl::OkStatus());
  EXPECT_THAT(error().message(), AllOf(HasSubstr(kHeadFile), HasSubstr("[23, 5]")));
  GuardHead head = DrawGuardHead(TinyHidden(folder_), 1);
  head.weight[3][4] = std::numeric_limits<float>::infinity();
  ASSERT_EQ(WriteGuardHead(head, folder_), absl::OkStatus());
  EXPECT_THAT(error().message(), HasSubstr("not finite"));
  std::filesystem::remove(folder_ / kHeadFile);
  EXPECT_EQ(error().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(error().message(), AllOf(HasSubstr(folder_.string()), HasSubstr("rein train guard")));
  WriteTinyGuard(folder_);
  ASSERT_EQ(WriteFileAtomically(folder_ / kConfigFile, "{\"format\": 9}"), absl::OkStatus());
  EXPECT_THAT(error().message(), HasSubstr("format is 9"));
  std::filesystem::remove(folder_ / kConfigFile);
  EXPECT_EQ(error().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rein::guard
