#include "evaluation/reply_cache.h"

#include "base/test_folder.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

TEST(ReplyCache, FindsAgainWhatAnEarlierProcessAdded) {
  const TestFolder folder;
  const std::filesystem::path file = folder.path() / "cache.jsonl";
  {
    const auto cache = ReplyCache::Open(file);
    ASSERT_TRUE(cache.ok()) << cache.status();
    EXPECT_FALSE((*cache)->Find("k").has_value());
    ASSERT_EQ((*cache)->Add("k", "a\n\"b\""), absl::OkStatus());
    ASSERT_EQ((*cache)->Add("other", ""), absl::OkStatus());
    EXPECT_EQ((*cache)->Find("k"), "a\n\"b\"");
  }
  const auto again = ReplyCache::Open(file);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Find("k"), "a\n\"b\"");
  EXPECT_EQ((*again)->Find("other"), "");
}

TEST(ReplyCache, PassesOverLinesThatAreCutOffOrRubbish) {
  const TestFolder folder;
  const std::filesystem::path file = folder.Write(
      "cache.jsonl",
      "{\"key\":\"k\",\"reply\":\"r\"}\n[]\n{\"key\":1,\"reply\":\"x\"}\n\xff\n{\"key\":\"cut\",\"rep");
  {
    const auto cache = ReplyCache::Open(file);
    ASSERT_TRUE(cache.ok()) << cache.status();
    EXPECT_EQ((*cache)->Find("k"), "r");
    EXPECT_FALSE((*cache)->Find("cut").has_value());
    ASSERT_EQ((*cache)->Add("new", "n"), absl::OkStatus());
  }
  EXPECT_EQ((*ReplyCache::Open(file))->Find("new"), "n");
}

TEST(ReplyCache, WithoutAFileItKeepsRepliesInMemory) {
  const auto cache = ReplyCache::Open({});
  ASSERT_EQ((*cache)->Add("k", "r"), absl::OkStatus());
  EXPECT_EQ((*cache)->Find("k"), "r");
}

TEST(ReplyCache, AFolderThatIsNotThereIsAnError) {
  const TestFolder folder;
  EXPECT_FALSE(ReplyCache::Open(folder.path() / "none" / "cache.jsonl").ok());
}

}  // namespace
}  // namespace rein::evaluation
