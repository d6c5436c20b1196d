// The guard over real connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "actors/guard/guard_role.h"
#include "actors/role_under_test.h"
#include "guard/model/guard_model.h"
#include "guard/model/tiny_guard.h"
#include "rein/v1/guard.grpc.pb.h"

namespace rein::host {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kJob[] = "actors: [{role: guard, name: guard, threads: 1}]\n";

std::filesystem::path GuardFolder() {
  const auto folder = training::FreshFolder("guard") / "model";
  guard::WriteTinyGuard(folder);
  return folder;
}

class GuardUnderTest {
 public:
  GuardUnderTest() : role(guard::MakeRole, TestAddress("guard", "guard"), kJob) {}

  absl::StatusOr<v1::ModerateResponse> Moderate(const v1::ModerateRequest& request) {
    const auto stub = v1::Guard::NewStub(role.peer().channel());
    return transport::Call(role.peer(), *stub, &v1::Guard::Stub::Moderate, request, kPatience);
  }
  absl::StatusOr<v1::DescribeGuardResponse> Describe() {
    const auto stub = v1::Guard::NewStub(role.peer().channel());
    return transport::Call(role.peer(), *stub, &v1::Guard::Stub::DescribeGuard, v1::DescribeGuardRequest(),
                           kPatience);
  }

  RoleUnderTest role;
};

v1::ModerateRequest Request() {
  v1::ModerateRequest request;
  *request.mutable_fence() = TestFence("moderate");
  return request;
}

v1::ModerationItem& AddItem(v1::ModerateRequest& request, const std::string& id, const std::string& digest) {
  v1::ModerationItem& item = *request.add_items();
  item.set_item_id(id);
  item.set_question("What is it?");
  item.add_images()->set_digest(digest);
  return item;
}

TEST(GuardRole, SaysWhatTheModelSays) {
  const auto folder = GuardFolder();
  GuardUnderTest test;
  test.role.MustConfigure(folder);
  const std::string png = training::TinyPng(10, 200, 30);
  v1::ModerateRequest request = Request();
  AddItem(request, "question", test.role.coordinator().AddPicture(png));
  AddItem(request, "answer", request.items(0).images(0).digest()).set_answer("a red one");
  (*request.mutable_inline_images())["inline"] = png;
  AddItem(request, "inlined", "inline").set_answer("a red one");
  const auto response = test.Moderate(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(test.role.coordinator().pictures_served(), 1);

  const auto model = guard::GuardModel::Load(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  const guard::Question question{.id = "q", .text = "What is it?", .pictures = {{png, ""}}};
  const std::string answer = "a red one";
  const auto verdicts = (*model)->Moderate({{&question}, {&question, &answer}, {&question, &answer}});
  ASSERT_TRUE(verdicts.ok()) << verdicts.status();
  ASSERT_EQ(response->verdicts_size(), 3);
  EXPECT_EQ(response->guard_digest(), (*model)->digest());
  for (int i = 0; i < 3; ++i) {
    const v1::ItemVerdict& got = response->verdicts(i);
    const guard::Verdict& expected = (*verdicts)[i];
    EXPECT_EQ(got.item_id(), request.items(i).item_id());
    EXPECT_EQ(got.severity(), static_cast<int>(expected.severity) + 1);
    ASSERT_EQ(got.at_or_above_size(), 3);
    for (int k = 0; k < 3; ++k) EXPECT_NEAR(got.at_or_above(k), expected.at_or_above[k], 1e-5);
    EXPECT_THAT(got.categories(), testing::ElementsAreArray(expected.categories));
  }
}

TEST(GuardRole, DescribesItself) {
  GuardUnderTest test;
  EXPECT_EQ(test.Describe().status().code(), absl::StatusCode::kFailedPrecondition);
  const auto folder = GuardFolder();
  test.role.MustConfigure(folder);
  const auto description = test.Describe();
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->digest(), *guard::GuardDigest(folder));
  EXPECT_THAT(description->question_thresholds(), testing::ElementsAre(0.5, 0.5, 0.5));
}

TEST(GuardRole, AnswersEveryItemOnceBrokenOnesWithTheirReason) {
  GuardUnderTest test;
  test.role.MustConfigure(GuardFolder());
  v1::ModerateRequest request = Request();
  AddItem(request, "good", test.role.coordinator().AddPicture(training::TinyPng(1, 2, 3))).set_answer("");
  AddItem(request, "broken", test.role.coordinator().AddPicture("not a picture"));
  AddItem(request, "gone", std::string(64, '0'));
  const auto response = test.Moderate(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->verdicts_size(), 1);
  EXPECT_EQ(response->verdicts(0).item_id(), "good");
  std::map<std::string, std::string> errors;
  for (const v1::SampleError& error : response->errors()) errors[error.sample_id()] = error.message();
  EXPECT_THAT(errors["broken"], HasSubstr("picture"));
  EXPECT_FALSE(errors["gone"].empty());
}

TEST(GuardRole, RefusesRequestsThatItCannotAnswerOneByOne) {
  GuardUnderTest test;
  v1::ModerateRequest request = Request();
  AddItem(request, "twice", "d");
  EXPECT_EQ(test.Moderate(request).status().code(), absl::StatusCode::kFailedPrecondition);
  test.role.MustConfigure(GuardFolder());
  AddItem(request, "twice", "d");
  EXPECT_THAT(std::string(test.Moderate(request).status().message()), HasSubstr("'twice' stands twice"));
  request.mutable_items(1)->clear_item_id();
  EXPECT_EQ(test.Moderate(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.mutable_fence()->set_job_id("another job");
  EXPECT_FALSE(test.Moderate(request).ok());
}

TEST(GuardRole, RefusesAFolderWithoutAHead) {
  GuardUnderTest test;
  const absl::Status status = test.role.Configure(MakeModelFolder("model", 1, false)).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("rein train guard"));
}

}  // namespace
}  // namespace rein::host
