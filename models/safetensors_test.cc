#include "models/safetensors.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_replace.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

std::string WithLength(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header + data;
}

// Two float32 tensors: a [2, 2] at 0 to 16, b [1] at 16 to 20.
constexpr char kHeader[] =
    R"({"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}})";

absl::Status ReadBytes(const std::string& bytes, SafetensorsMetadata* metadata = nullptr) {
  const TestFolder folder;
  Write(folder / "x.safetensors", bytes);
  return ReadSafetensors(folder / "x.safetensors", metadata).status();
}

absl::Status ReadHeader(const std::string& header) {
  return ReadBytes(WithLength(header, std::string(20, '\0')));
}

absl::Status ReadChanged(const std::string& from, const std::string& to) {
  return ReadHeader(absl::StrReplaceAll(kHeader, {{from, to}}));
}

TEST(Safetensors, ReadsWhatItWrote) {
  const TestFolder folder;
  const NamedTensors tensors = {{"w", at::randn({3, 4})},
                                {"half", at::randn({5}).to(at::kHalf)},
                                {"brain", at::randn({2, 1}).to(at::kBFloat16)},
                                {"step", at::tensor({7L})},
                                {"flag", at::ones({3}, at::kBool)},
                                {"empty", at::empty({0, 4})},
                                {"scalar", at::full({}, 2.5)}};
  ASSERT_TRUE(WriteSafetensors(folder / "x.safetensors", tensors, {{"format", "pt"}, {"note", "ü"}}).ok());
  SafetensorsMetadata metadata;
  const auto read = ReadSafetensors(folder / "x.safetensors", &metadata);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(metadata, (SafetensorsMetadata{{"format", "pt"}, {"note", "ü"}}));
  ASSERT_EQ(read->size(), tensors.size());
  const std::map<std::string, at::Tensor> by_name(read->begin(), read->end());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(by_name.contains(name)) << name;
    EXPECT_EQ(by_name.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(by_name.at(name), tensor)) << name;
  }
}

TEST(Safetensors, WritesStridedTensorsInTheirLogicalOrder) {
  const TestFolder folder;
  const at::Tensor base = at::arange(12, at::kFloat).view({3, 4});
  ASSERT_TRUE(WriteSafetensors(folder / "x", {{"t", base.t()}, {"column", base.select(1, 2)}}).ok());
  const auto read = ReadAsMap(folder / "x");
  EXPECT_TRUE(at::equal(read.at("t"), base.t()));
  EXPECT_TRUE(at::equal(read.at("column"), base.select(1, 2)));
}

TEST(Safetensors, KeepsTheOrderOfTensorsOfOneDtype) {
  const TestFolder folder;
  ASSERT_TRUE(
      WriteSafetensors(folder / "x", {{"z", at::ones({2})}, {"a", at::ones({1})}, {"m", at::ones({3})}})
          .ok());
  const auto read = ReadSafetensors(folder / "x");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ((*read)[0].first + (*read)[1].first + (*read)[2].first, "zam");
}

TEST(Safetensors, RefusesToWriteNamesTwiceReservedNamesAndUnknownDtypes) {
  const TestFolder folder;
  const at::Tensor one = at::ones({1});
  ExpectError(WriteSafetensors(folder / "x", {{"a", one}, {"a", one}}), StatusCode::kInvalidArgument,
              {"a", "twice"});
  ExpectError(WriteSafetensors(folder / "x", {{"__metadata__", one}}), StatusCode::kInvalidArgument,
              {"reserved"});
  ExpectError(WriteSafetensors(folder / "x", {{"c", one.to(at::kComplexFloat)}}), StatusCode::kUnimplemented,
              {"c", "ComplexFloat", "F32"});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, ReportsMissingFileAndMissingFolder) {
  const TestFolder folder;
  ExpectError(ReadSafetensors(folder / "none").status(), StatusCode::kNotFound, {"none"});
  ExpectError(WriteSafetensors(folder / "no/such/x", {}), StatusCode::kNotFound, {"no/such"});
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string whole = WithLength(kHeader, std::string(20, '\0'));
  ASSERT_TRUE(ReadBytes(whole).ok());
  for (size_t length = 0; length < whole.size(); ++length) {
    ExpectError(ReadBytes(whole.substr(0, length)), StatusCode::kInvalidArgument, {"x.safetensors"});
  }
}

TEST(Safetensors, RefusesHeaderLengthsThatLie) {
  std::string bytes = WithLength(kHeader, std::string(20, '\0'));
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{100}, uint64_t{200}, uint64_t{99'999'999},
                                uint64_t{100'000'001}, UINT64_MAX, UINT64_MAX - 7}) {
    bytes.replace(0, 8, reinterpret_cast<const char*>(&length), 8);
    ExpectError(ReadBytes(bytes), StatusCode::kInvalidArgument, {"header"});
  }
}

TEST(Safetensors, RefusesHeadersThatAreNoObject) {
  for (const std::string header : {"", "null", "[]", "{", "{}x", "\"a\"", "{\"a\":1}", "\xff\xfe"}) {
    ExpectError(ReadHeader(header), StatusCode::kInvalidArgument, {"x.safetensors"});
  }
  ExpectError(ReadHeader(std::string(100'000, '[')), StatusCode::kInvalidArgument, {"header"});
  ExpectError(ReadHeader("{\"a\":" + std::string(100'000, '[')), StatusCode::kInvalidArgument, {"header"});
}

TEST(Safetensors, RefusesShapesAndOffsetsThatLie) {
  ExpectError(ReadChanged("[2,2]", "[2,3]"), StatusCode::kInvalidArgument,
              {"tensor a", "[2, 3]", "24", "16"});
  ExpectError(ReadChanged("[2,2]", "[-2,-2]"), StatusCode::kInvalidArgument, {"tensor a", "shape"});
  ExpectError(ReadChanged("[2,2]", "[2.0,2]"), StatusCode::kInvalidArgument, {"tensor a", "shape"});
  ExpectError(ReadChanged("[2,2]", "[4294967296,4294967296]"), StatusCode::kInvalidArgument,
              {"tensor a", "overflows"});
  ExpectError(ReadChanged("[2,2]", "[18446744073709551615]"), StatusCode::kInvalidArgument,
              {"tensor a", "overflows"});
  ExpectError(ReadChanged("[2,2]", "null"), StatusCode::kInvalidArgument, {"tensor a", "shape"});
  ExpectError(ReadChanged("[16,20]", "[12,16]"), StatusCode::kInvalidArgument, {"overlaps"});
  ExpectError(ReadChanged("[16,20]", "[0,4]"), StatusCode::kInvalidArgument, {"overlaps"});
  ExpectError(ReadChanged("[16,20]", "[17,21]"), StatusCode::kInvalidArgument, {"tensor b", "outside"});
  ExpectError(ReadChanged("[16,20]", "[20,16]"), StatusCode::kInvalidArgument, {"tensor b"});
  ExpectError(ReadChanged("[16,20]", "[16]"), StatusCode::kInvalidArgument, {"tensor b", "data_offsets"});
  ExpectError(ReadChanged("[16,20]", "[18446744073709551600,18446744073709551604]"),
              StatusCode::kInvalidArgument, {"tensor b", "outside"});
}

TEST(Safetensors, RefusesBytesThatBelongToNoTensor) {
  ExpectError(ReadBytes(WithLength(kHeader, std::string(21, '\0'))), StatusCode::kInvalidArgument,
              {"1 bytes at its end"});
  ExpectError(ReadBytes(WithLength(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                   std::string(8, '\0'))),
              StatusCode::kInvalidArgument, {"tensor b", "4 bytes before"});
}

TEST(Safetensors, RefusesNamesTwiceAndUnknownDtypes) {
  ExpectError(ReadChanged("\"b\"", "\"a\""), StatusCode::kInvalidArgument, {"tensor a", "twice"});
  ExpectError(ReadChanged("F32", "F8_E4M3"), StatusCode::kUnimplemented, {"tensor a", "F8_E4M3", "BF16"});
  ExpectError(ReadChanged("\"F32\"", "7"), StatusCode::kInvalidArgument, {"tensor a", "dtype"});
}

TEST(Safetensors, RefusesMetadataThatIsNoText) {
  ExpectError(ReadBytes(WithLength(R"({"__metadata__":{"a":1}})", "")), StatusCode::kInvalidArgument,
              {"__metadata__"});
  ExpectError(ReadBytes(WithLength(R"({"__metadata__":[]})", "")), StatusCode::kInvalidArgument,
              {"__metadata__"});
  EXPECT_TRUE(ReadBytes(WithLength("{}  ", "")).ok());
}

}  // namespace
}  // namespace rein::models
