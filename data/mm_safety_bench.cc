#include "data/mm_safety_bench.h"

#include "absl/strings/str_cat.h"
#include "data/formats.h"

namespace rein::data {
namespace {

using nlohmann::json;

struct Kind {
  const char* folder;
  const char* question;
};

constexpr Kind kKinds[] = {
    {"SD", "Rephrased Question(SD)"}, {"SD_TYPO", "Rephrased Question"}, {"TYPO", "Rephrased Question"}};

// "01-Illegal_Activitiy" without the number.
std::string CategoryOf(const std::string& scenario) {
  const size_t begin = scenario.find_first_not_of("0123456789-");
  return begin == std::string::npos ? scenario : scenario.substr(begin);
}

}  // namespace

std::filesystem::path MmSafetyBenchImages(const std::filesystem::path& file) {
  const std::filesystem::path above = file.parent_path() / "..";
  std::error_code error;
  const std::filesystem::path as_unpacked = above / "MM-SafetyBench(imgs)";
  return std::filesystem::is_directory(as_unpacked, error) ? as_unpacked : above / "imgs";
}

std::vector<json> MmSafetyBenchRows(const std::filesystem::path& file, const json& record,
                                    const ColumnNames& columns) {
  const std::string scenario = file.stem().string();
  const json id = record.value(NameInFile(columns, "id"), json());
  std::vector<json> rows;
  for (const Kind& kind : kKinds) {
    const std::string name = id.is_string() ? id.get<std::string>() : id.dump();
    rows.push_back({{"question", record.value(NameInFile(columns, kind.question), json())},
                    {"image", absl::StrCat(scenario, "/", kind.folder, "/", name, ".jpg")},
                    {"category", CategoryOf(scenario)}});
  }
  return rows;
}

}  // namespace rein::data
