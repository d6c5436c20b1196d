#include "actors/rollout/step_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace rein::rollout {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

StreamPtr Stream(int64_t samples) { return std::make_shared<GenerateStream>(samples); }

v1::PromptSpec Wanted(const std::string& prompt_id, const std::vector<int32_t>& samples) {
  v1::PromptSpec wanted;
  wanted.mutable_prompt()->set_prompt_id(prompt_id);
  wanted.mutable_samples()->Assign(samples.begin(), samples.end());
  return wanted;
}

SamplePtr MakeSample(const std::string& id) {
  auto sample = std::make_shared<v1::Sample>();
  sample->set_sample_id(id);
  return sample;
}

struct Written {
  absl::Status status;
  std::vector<std::string> ids;   // of samples, and of refused prompts
  std::vector<int64_t> progress;  // tokens
};

bool StillThere() { return false; }

std::optional<v1::GenerateProgress> NoProgress() { return std::nullopt; }

Written WriteAll(GenerateStream& stream, const GenerateStream::ProgressFn& progress = NoProgress) {
  Written written;
  written.status = stream.WriteAll(
      [&](const v1::GenerateResponse& response) {
        if (response.has_sample()) written.ids.push_back(response.sample().sample_id());
        if (response.has_refusal()) written.ids.push_back(response.refusal().prompt_id());
        if (response.has_progress()) written.progress.push_back(response.progress().tokens());
        return true;
      },
      progress, StillThere);
  return written;
}

TEST(GenerateStream, EndsWhenEverySampleIsAnswered) {
  const StreamPtr stream = Stream(3);
  v1::PromptRefusal refusal;
  refusal.set_prompt_id("q");
  stream->Deliver(MakeSample("p/0"));
  stream->Refuse(refusal, 2);
  const Written written = WriteAll(*stream);
  EXPECT_EQ(written.status, absl::OkStatus());
  EXPECT_THAT(written.ids, ElementsAre("p/0", "q"));
}

TEST(GenerateStream, WithoutWishesItEndsAtOnce) { EXPECT_EQ(WriteAll(*Stream(0)).status, absl::OkStatus()); }

TEST(GenerateStream, WritesWhatCameBeforeAnError) {
  const StreamPtr stream = Stream(2);
  stream->Deliver(MakeSample("p/0"));
  stream->Fail(absl::DataLossError("broken"));
  stream->Fail(absl::AbortedError("later"));
  EXPECT_FALSE(stream->open());
  const Written written = WriteAll(*stream);
  EXPECT_EQ(written.status, absl::DataLossError("broken"));
  EXPECT_THAT(written.ids, ElementsAre("p/0"));
}

TEST(GenerateStream, AnErrorAfterTheLastAnswerDoesNotCount) {
  const StreamPtr stream = Stream(1);
  stream->Deliver(MakeSample("p/0"));
  stream->Fail(absl::DataLossError("broken"));
  EXPECT_EQ(WriteAll(*stream).status, absl::OkStatus());
}

TEST(GenerateStream, TellsProgressOnlyWhereThereIsAny) {
  const StreamPtr stream = Stream(1);
  int asked = 0;
  const Written written = WriteAll(*stream, [&]() -> std::optional<v1::GenerateProgress> {
    if (++asked == 1) return std::nullopt;
    stream->Deliver(MakeSample("p/0"));
    v1::GenerateProgress progress;
    progress.set_tokens(7);
    return progress;
  });
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(written.progress, ElementsAre(7));
  EXPECT_THAT(written.ids, ElementsAre("p/0"));
}

TEST(GenerateStream, ACallerThatIsGoneCancels) {
  const auto cannot_write = [](const v1::GenerateResponse&) { return false; };
  const auto gone = [] { return true; };
  EXPECT_EQ(Stream(1)->WriteAll(cannot_write, NoProgress, gone).code(), absl::StatusCode::kCancelled);
  const auto some = [] { return std::make_optional<v1::GenerateProgress>(); };
  EXPECT_EQ(Stream(1)->WriteAll(cannot_write, some, StillThere).code(), absl::StatusCode::kCancelled);
  const StreamPtr stream = Stream(1);
  stream->Deliver(MakeSample("p/0"));
  EXPECT_EQ(stream->WriteReady(cannot_write).code(), absl::StatusCode::kCancelled);
}

TEST(StepMemory, NamesWhatNobodyGeneratesYet) {
  StepMemory memory;
  const StreamPtr stream = Stream(2);
  EXPECT_THAT(memory.Ask("m", Wanted("p", {0, 1}), stream), ElementsAre(0, 1));
  memory.Start("m", "p", {0, 1}, stream);
  EXPECT_THAT(memory.Ask("m", Wanted("p", {0, 1, 2}), Stream(3)), ElementsAre(2));
  EXPECT_THAT(memory.Ask("m", Wanted("q", {0}), Stream(1)), ElementsAre(0));
  EXPECT_THAT(memory.Ask("greedy", Wanted("p", {0}), Stream(1)), ElementsAre(0));
}

TEST(StepMemory, ALaterCallGetsWhatIsFinishedAndWhatIsUnderWay) {
  StepMemory memory;
  const StreamPtr first = Stream(2), second = Stream(2);
  memory.Start("m", "p", {0, 1}, first);
  memory.Finish("m", MakeSample("p/0"));
  EXPECT_THAT(memory.Ask("m", Wanted("p", {0, 1}), second), IsEmpty());
  memory.Finish("m", MakeSample("p/1"));
  EXPECT_THAT(WriteAll(*first).ids, ElementsAre("p/0", "p/1"));
  EXPECT_THAT(WriteAll(*second).ids, ElementsAre("p/0", "p/1"));
}

TEST(StepMemory, AfterAFailureTheFinishedSamplesRemain) {
  StepMemory memory;
  const StreamPtr first = Stream(2), second = Stream(2);
  memory.Join(first);
  memory.Start("m", "p", {0, 1}, first);
  memory.Finish("m", MakeSample("p/0"));
  memory.Fail(absl::DataLossError("broken"));
  EXPECT_EQ(WriteAll(*first).status, absl::DataLossError("broken"));
  EXPECT_THAT(memory.Ask("m", Wanted("p", {0, 1}), second), ElementsAre(1));
}

TEST(StepMemory, KnowsWhetherAnybodyListens) {
  StepMemory memory;
  EXPECT_FALSE(memory.HasListeners());
  const StreamPtr stream = Stream(1);
  memory.Join(stream);
  EXPECT_TRUE(memory.HasListeners());
  stream->Close();
  EXPECT_FALSE(memory.HasListeners());
}

}  // namespace
}  // namespace rein::rollout
