#include "base/host_memory.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"

namespace rein {
namespace {

constexpr char kMeminfo[] =
    "MemTotal:  4000 kB\nMemFree:  100 kB\nMemAvailable:  2000 kB\nHugePages_Total:  0\n";

TEST(HostMemory, IsWhatTheKernelSaysWithoutLimits) {
  const TestFolder root;
  root.Write("proc/meminfo", kMeminfo);
  EXPECT_EQ(AvailableHostMemory(root.path()).value(), 2000 * 1024);
  root.Write("proc/self/cgroup", "0::/\n");
  root.Write("sys/fs/cgroup/memory.max", "max\n");
  root.Write("sys/fs/cgroup/memory.current", "1000\n");
  EXPECT_EQ(AvailableHostMemory(root.path()).value(), 2000 * 1024);
}

TEST(HostMemory, IsWhatTheTightestGroupLeaves) {
  const TestFolder root;
  root.Write("proc/meminfo", kMeminfo);
  root.Write("proc/self/cgroup", "0::/outer/inner\n");
  root.Write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
  root.Write("sys/fs/cgroup/outer/inner/memory.current", "100\n");
  root.Write("sys/fs/cgroup/outer/memory.max", "5000\n");
  root.Write("sys/fs/cgroup/outer/memory.current", "4500\n");
  root.Write("sys/fs/cgroup/outer/memory.stat", "anon 4000\nfile 500\ninactive_file 300\n");
  EXPECT_EQ(AvailableHostMemory(root.path()).value(), 800);
}

TEST(HostMemory, KnowsTheFirstVersionInAContainer) {
  const TestFolder root;
  root.Write("proc/meminfo", kMeminfo);
  root.Write("proc/self/cgroup", "5:cpu:/docker/abc\n4:memory:/docker/abc\n");
  root.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "900\n");
  root.Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(AvailableHostMemory(root.path()).value(), 0);
}

TEST(HostMemory, SaysSoWhereNothingIsKnown) {
  const TestFolder root;
  EXPECT_EQ(AvailableHostMemory(root.path()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_GT(AvailableHostMemory().value(), 0);
}

}  // namespace
}  // namespace rein
