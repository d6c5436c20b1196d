#include "data/picture_store.h"

#include <stdlib.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

std::string Picture(int i) { return std::string(100, static_cast<char>('a' + i)); }

PictureStore Filled(int64_t memory_bytes) {
  PictureStore store(memory_bytes);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(store.Keep(absl::StrCat("digest", i), Picture(i)), absl::OkStatus());
  }
  return store;
}

void ExpectAll(const PictureStore& store) {
  for (int i = 0; i < 8; ++i) {
    const auto blob = store.Get(absl::StrCat("digest", i));
    ASSERT_TRUE(blob.ok()) << blob.status();
    EXPECT_EQ(**blob, Picture(i));
  }
}

TEST(PictureStore, GivesBackWhatItKeeps) {
  const PictureStore store = Filled(1 << 20);
  ExpectAll(store);
  EXPECT_EQ(store.spilled_bytes(), 0);
  EXPECT_EQ(store.Get("digest9").status().code(), absl::StatusCode::kNotFound);
}

TEST(PictureStore, WhatIsPastTheBoundComesFromTheFile) {
  const PictureStore store = Filled(350);
  EXPECT_EQ(store.spilled_bytes(), 500);
  ExpectAll(store);
}

TEST(PictureStore, KeepsAPictureOnce) {
  PictureStore store = Filled(0);
  EXPECT_EQ(store.Keep("digest3", Picture(3)), absl::OkStatus());
  EXPECT_EQ(store.size(), 8u);
  EXPECT_EQ(store.spilled_bytes(), 800);
}

TEST(PictureStore, SurvivesBeingMoved) {
  PictureStore store = Filled(350);
  const PictureStore moved = std::move(store);
  ExpectAll(moved);
}

TEST(PictureStore, ServesManyThreads) {
  const PictureStore store = Filled(350);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store] {
      for (int round = 0; round < 200; ++round) ExpectAll(store);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(PictureStore, SaysWhereItCannotSpill) {
  const char* before = getenv("TMPDIR");
  const std::string restored = before == nullptr ? "" : before;
  ASSERT_EQ(setenv("TMPDIR", "/there/is/no/such/folder", 1), 0);
  PictureStore store(0);
  const absl::Status status = store.Keep("digest", "bytes");
  before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", restored.c_str(), 1);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("TMPDIR"), std::string::npos) << status;
  EXPECT_EQ(store.Get("digest").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rein::data
