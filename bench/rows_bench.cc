// From a parquet file to rows, and to their decoded pictures. Compare items_per_second.
#include <benchmark/benchmark.h>

#include <optional>
#include <string>

#include "bench/inputs.h"
#include "data/image.h"
#include "data/row_reader.h"
#include "data/row_writer.h"

namespace rein::bench {
namespace {

constexpr int kRows = 256;

// Pairs with a picture each, PNG of size x size. Bytes behind its end, which decoders pass over, make each
// picture another one: equal ones would be stored once.
std::filesystem::path WriteRows(const std::filesystem::path& folder, int size) {
  data::RowWriter writer = Require(data::RowWriter::Open(folder / "rows.parquet"));
  const std::string png = ScenePng(size);
  for (int i = 0; i < kRows; ++i) {
    Require(writer.Add({.question = "How do I handle what is in this picture?",
                        .pictures = {{png + std::to_string(i), "scene.png"}},
                        .responses = {{"Lift it with both hands.", true, 3, 3}, {"No.", true, 1, 0}},
                        .more_helpful = 1,
                        .safer = 1,
                        .category = "benign"}));
  }
  Require(writer.Finish());
  return folder / "rows.parquet";
}

void ReadRows(benchmark::State& state, bool decode) {
  const TemporaryFolder folder;
  const std::filesystem::path file = WriteRows(folder.path(), static_cast<int>(state.range(0)));
  for (auto _ : state) {
    data::RowReader reader = Require(data::RowReader::Open(file));
    while (const std::optional<data::Row> row = Require(reader.Next())) {
      if (decode) benchmark::DoNotOptimize(Require(data::DecodeImage(row->pictures[0].bytes)));
    }
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(ReadRows, encoded, false)
    ->Arg(336)
    ->Arg(1024)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(ReadRows, decoded, true)->Arg(336)->Arg(1024)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
