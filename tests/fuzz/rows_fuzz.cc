// Bytes as a data file: its rows are read, or there is an error. The first byte says what it is: 'p' parquet,
// 'j' lines of JSON, any other a JSON list.

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/strings/string_view.h"
#include "base/test_folder.h"
#include "data/row_reader.h"

namespace {

std::string NameOf(char kind) {
  if (kind == 'p') return "rows.parquet";
  return kind == 'j' ? "rows.jsonl" : "rows.json";
}

void Run(absl::string_view input) {
  static const rein::TestFolder folder;
  const std::filesystem::path file = folder.Write(NameOf(input[0]), std::string(input.substr(1)));
  auto reader = rein::data::RowReader::Open(
      file, {.picture_check = rein::data::PictureCheck::kHeader, .every_exchange = true});
  if (!reader.ok()) return;
  while (true) {
    const auto row = reader->Next();
    if (!row.ok() || !row->has_value()) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
