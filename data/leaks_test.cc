#include "data/leaks.h"

#include "data/test_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Row Asked(const std::string& question, const std::vector<std::string>& pictures) {
  Row row{.question = question};
  for (const std::string& bytes : pictures) row.pictures.push_back({bytes, ""});
  return row;
}

TEST(LeakCheck, TellsPromptsPicturesAndQuestionsApart) {
  LeakCheck check;
  check.AddTraining(Asked("what?", {"p1"}));
  check.AddTraining(Asked("text only", {}));
  check.AddTraining(Asked("compare", {"p2", "p3"}));
  check.Check(Asked("what?", {"p1"}));          // the prompt itself
  check.Check(Asked("what?", {"p9"}));          // its question
  check.Check(Asked("where?", {"p3"}));         // one of its pictures
  check.Check(Asked("text only", {}));          // a prompt without a picture
  check.Check(Asked("compare", {"p3", "p2"}));  // in another order: another prompt
  check.Check(Asked("new", {"p8"}));
  const LeakReport& report = check.report();
  EXPECT_EQ(report.rows, 6);
  EXPECT_EQ(report.same_prompt, 2);
  EXPECT_EQ(report.same_picture, 3);
  EXPECT_EQ(report.same_question, 4);
  EXPECT_THAT(report.examples, ElementsAre("what?", "where?", "text only"));
}

TEST(FindLeaks, ComparesDataSets) {
  const auto all = FindLeaks(Fixture("beavertails_v"), Fixture("beavertails_v/data/animal_abuse"));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->rows, 6);
  EXPECT_EQ(all->same_prompt, 6);
  const auto none = FindLeaks(Fixture("beavertails_v/data/horror_and_gore"), Fixture("spa_vl"));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->same_picture, 0);
  EXPECT_THAT(none->examples, IsEmpty());
  EXPECT_FALSE(FindLeaks(Fixture("absent"), Fixture("spa_vl")).ok());
}

}  // namespace
}  // namespace rein::data
