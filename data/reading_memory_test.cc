// How much memory reading takes.
#include <arrow/memory_pool.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/test_memory.h"
#include "data/picture_store.h"
#include "data/preferences.h"
#include "data/row_writer.h"
#include "data/test_folder.h"

namespace rein::data {
namespace {

constexpr int64_t kRows = 750;

// From 100 to 300 kB, 150 MB in all.
int64_t PictureBytes(int64_t row) { return 100'000 + row * 61 % 101 * 2000; }

std::string RandomBytes(uint64_t key, int64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  CounterRandom random(key);
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t bits = random.Bits();
    bytes.replace(i, 8, reinterpret_cast<const char*>(&bits), 8);
  }
  return bytes;
}

void WriteLargeFile(const std::filesystem::path& path) {
  absl::StatusOr<RowWriter> writer = RowWriter::Open(path);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int64_t i = 0; i < kRows; ++i) {
    ASSERT_EQ(writer->Add({.question = std::string(300, 'q'),
                           .pictures = {{RandomBytes(static_cast<uint64_t>(i), PictureBytes(i)), "p"}},
                           .responses = {{"a", true, 1, 1}, {"b", false, -1, 1}},
                           .more_helpful = 1,
                           .safer = 1,
                           .category = "benign"}),
              absl::OkStatus());
  }
  ASSERT_EQ(writer->Finish(), absl::OkStatus());
}

TEST(Preferences, AreReadInLittleMemory) {
  const TestFolder folder;
  WriteLargeFile(folder.path() / "rows.parquet");
  arrow::default_memory_pool()->ReleaseUnused();  // what writing took
  PictureStore store(/*memory_bytes=*/0);
  std::vector<PreferenceRow> kept;
  const int64_t rise = PeakRise([&] {
    // As prompts and corpora are read: texts stay in memory, pictures do not.
    const auto keep = [&](PreferenceRow row) {
      const absl::Status stored = store.Keep(std::to_string(kept.size()), std::move(row.pictures[0].bytes));
      kept.push_back(std::move(row));
      return stored;
    };
    EXPECT_TRUE(ReadPreferences(folder.path() / "rows.parquet", {}, keep).ok());
  });
  EXPECT_GT(store.spilled_bytes(), 140 << 20);
  if (rise < 0) GTEST_SKIP() << "this process cannot reset its peak";
  EXPECT_LT(rise, 80 << 20);
}

}  // namespace
}  // namespace rein::data
