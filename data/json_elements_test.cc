#include "data/json_elements.h"

#include <vector>

#include "data/test_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Elements(const std::string& text, absl::Status* status = nullptr) {
  const TestFolder folder;
  auto elements = JsonElements::Open(folder.Write("file", text));
  std::vector<std::string> found;
  std::string element;
  absl::StatusOr<bool> more = elements.ok() ? elements->Next(element) : elements.status();
  for (; more.ok() && *more; more = elements->Next(element)) found.push_back(element);
  if (status == nullptr) {
    EXPECT_EQ(more.status(), absl::OkStatus());
  } else {
    *status = more.status();
  }
  return found;
}

TEST(JsonElements, CutsLines) {
  EXPECT_THAT(Elements("{\"a\": 1}\n\n  {\"b\": 2}\r\n{\"c\": 3}"),
              ElementsAre("{\"a\": 1}", "{\"b\": 2}\r", "{\"c\": 3}"));
}

TEST(JsonElements, CutsAListWhateverItsTextsHold) {
  EXPECT_THAT(
      Elements("\xef\xbb\xbf [\n{\"a\": \"]}\\\"[\", \"b\": [{}, []]},[1, [2]], \"x,]\" ,-1.5 ,null]\n"),
      ElementsAre("{\"a\": \"]}\\\"[\", \"b\": [{}, []]}", "[1, [2]]", "\"x,]\" ", "-1.5 ", "null"));
  EXPECT_THAT(Elements("[ ]"), IsEmpty());
}

TEST(JsonElements, CutsAnObjectOfNumberedRecords) {
  for (const char* text : {"{\"0\": {\"a\": {\"b\": \"}\"}}, \"17\": {\"c\": []}}",
                           "\xef\xbb\xbf{\n \"0\" :\n{\"a\": {\"b\": \"}\"}}\n,\"17\":{\"c\": []}\n}\n"}) {
    const TestFolder folder;
    auto elements = JsonElements::Open(folder.Write("file", text));
    ASSERT_TRUE(elements.ok()) << elements.status();
    std::string element;
    EXPECT_TRUE(*elements->Next(element));
    EXPECT_EQ(elements->key(), "0");
    EXPECT_EQ(element, "{\"a\": {\"b\": \"}\"}}");
    EXPECT_TRUE(*elements->Next(element));
    EXPECT_EQ(elements->key(), "17");
    EXPECT_EQ(element, "{\"c\": []}");
    EXPECT_FALSE(*elements->Next(element));
  }
}

TEST(JsonElements, AnObjectWithoutNumbersIsALine) {
  EXPECT_THAT(Elements("{\"a\": {\"b\": 1}}\n{\"0\": 1}"), ElementsAre("{\"a\": {\"b\": 1}}", "{\"0\": 1}"));
  EXPECT_THAT(Elements("{\"0\": 1}"), ElementsAre("{\"0\": 1}"));
  EXPECT_THAT(Elements("{}"), ElementsAre("{}"));
}

TEST(JsonElements, SaysWhereAnObjectIsCutOff) {
  for (const char* text : {"{\"0\": {", "{\"0\": {}", "{\"0\": {},", "{\"0\": {}, \"1", "{\"0\": {}, \"1\"",
                           "{\"0\": {}, \"1\":", "{\"0\": {}, 7}", "{\"0\": {}, \"1\": \""}) {
    absl::Status status;
    Elements(text, &status);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is cut off: the object does not end")) << text;
  }
}

TEST(JsonElements, SaysWhereAListIsCutOff) {
  for (const char* text : {"[", "[{\"a\": 1}", "[{\"a\": 1},", "[{\"a\": \"", "[{\"a\": \"\\", "[12"}) {
    absl::Status status;
    Elements(text, &status);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is cut off: the list does not end")) << text;
  }
}

TEST(JsonElements, AnElementThatIsTooLongComesOutEmptyAndTheNextOneWhole) {
  const std::string text(JsonElements::kMaxElementBytes, 'x');
  EXPECT_THAT(Elements("[\"" + text + "\", {\"b\": 2}]"), ElementsAre("", "{\"b\": 2}"));
}

}  // namespace
}  // namespace rein::data
