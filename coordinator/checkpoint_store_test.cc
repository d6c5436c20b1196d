#include "coordinator/checkpoint_store.h"

#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/tiny_disk.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kWeights[] = "policy-policy/model/weights";

class CheckpointStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    store_.emplace(CheckpointStore::Open(folder_).value());
  }
  void TearDown() override { fs::remove_all(folder_); }

  // What an actor does with the folder that Begin returned.
  static v1::SavedFile Save(const fs::path& partial, const std::string& path, const std::string& content) {
    fs::create_directories((partial / path).parent_path());
    std::ofstream(partial / path, std::ios::binary) << content;
    v1::SavedFile file;
    file.set_path(path);
    file.set_size_bytes(static_cast<int64_t>(content.size()));
    file.set_crc32c(Crc32c(content));
    return file;
  }
  Manifest Prepare(int64_t step) {
    const fs::path partial = store_->Begin(step).value();
    Manifest manifest;
    manifest.step = step;
    manifest.epoch = 1;
    manifest.state = {{"lambda", 0.1 * static_cast<double>(step)}};
    manifest.files.push_back(Save(partial, kWeights, absl::StrCat("weights of step ", step)));
    manifest.files.push_back(
        Save(partial, "critic-reward/optimizer", absl::StrCat("moments of step ", step)));
    return manifest;
  }
  void Commit(int64_t step, bool meets_constraints = false, double reward_mean = 0) {
    Manifest manifest = Prepare(step);
    manifest.meets_constraints = meets_constraints;
    manifest.reward_mean = reward_mean;
    const absl::Status status = store_->Commit(manifest);
    ASSERT_TRUE(status.ok()) << status;
  }
  // The step that a resume starts from; -1: from the beginning.
  int64_t NewestStep() {
    refused_.clear();
    const auto newest = store_->Newest(&refused_);
    EXPECT_TRUE(newest.ok()) << newest.status();
    return newest->has_value() ? (*newest)->step : -1;
  }
  std::set<std::string> Entries() {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename().string());
    return names;
  }
  fs::path Weights(int64_t step) { return store_->FolderOf(step) / kWeights; }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / absl::StrCat("rein_checkpoint_store_test.", getpid());
  std::optional<CheckpointStore> store_;
  std::vector<std::string> refused_;
};

TEST_F(CheckpointStoreTest, AnEmptyFolderHasNoCheckpoint) {
  EXPECT_EQ(NewestStep(), -1);
  EXPECT_EQ(store_->Best().value(), std::nullopt);
}

TEST_F(CheckpointStoreTest, TheNewestCommitIsFound) {
  Commit(9);
  Commit(10);
  EXPECT_EQ(NewestStep(), 10);
  EXPECT_THAT(refused_, IsEmpty());
  EXPECT_EQ((*store_->Newest(&refused_))->state.at("lambda"), 0.1 * 10);
  EXPECT_EQ(ReadFile(Weights(10)).value(), "weights of step 10");
}

TEST_F(CheckpointStoreTest, APartialFolderIsNoCheckpoint) {
  Commit(1);
  Prepare(2);
  EXPECT_EQ(NewestStep(), 1);
  EXPECT_TRUE(fs::exists(folder_ / "step-2.partial"));
  store_->Abandon(2);
  EXPECT_THAT(Entries(), ElementsAre("step-1"));
}

TEST_F(CheckpointStoreTest, BeginRemovesWhatAnEarlierAttemptLeft) {
  const fs::path partial = store_->Begin(1).value();
  std::ofstream(partial / "old") << "x";
  EXPECT_EQ(store_->Begin(1).value(), partial);
  EXPECT_TRUE(fs::is_empty(partial));
}

TEST_F(CheckpointStoreTest, FoldersAreAbsolute) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  EXPECT_EQ(CheckpointStore::Open("here").value().FolderOf(4), folder_ / "here/step-4");
  fs::current_path(before);
}

TEST_F(CheckpointStoreTest, CommitWithoutBeginIsAnError) {
  Manifest manifest;
  manifest.step = 4;
  EXPECT_EQ(store_->Commit(manifest).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Entries(), IsEmpty());
}

TEST_F(CheckpointStoreTest, AFileThatIsNotAsReportedIsNotCommitted) {
  Commit(1);
  Manifest manifest = Prepare(2);
  manifest.files[0].set_size_bytes(1);
  EXPECT_EQ(store_->Commit(manifest).code(), absl::StatusCode::kDataLoss);
  manifest = Prepare(2);
  manifest.files[0].set_path("../step-1/" + std::string(kWeights));
  EXPECT_EQ(store_->Commit(manifest).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Entries(), ElementsAre("step-1"));
}

// The manifest's temporary file is made to end on a disk without space.
TEST_F(CheckpointStoreTest, AFullDiskKeepsOlderCheckpoints) {
  Commit(1);
  const Manifest manifest = Prepare(2);
  fs::create_symlink("/dev/full",
                     folder_ / "step-2.partial" / absl::StrCat("manifest.json.", getpid(), ".tmp"));
  EXPECT_EQ(store_->Commit(manifest).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Entries(), ElementsAre("step-1"));
  EXPECT_EQ(NewestStep(), 1);
  Commit(2);
  EXPECT_EQ(NewestStep(), 2);
}

TEST_F(CheckpointStoreTest, AReallyFullDiskKeepsOlderCheckpoints) {
  const TinyDisk disk(folder_ / "disk", 96 << 10);
  if (disk.folder().empty()) GTEST_SKIP() << "this process may not mount a small disk";
  store_.emplace(CheckpointStore::Open(disk.folder()).value());
  Commit(1);
  Manifest manifest = Prepare(2);
  manifest.job_yaml.assign(128 << 10, 'x');
  EXPECT_EQ(store_->Commit(manifest).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(NewestStep(), 1);
  Commit(2);
  EXPECT_EQ(NewestStep(), 2);
}

TEST_F(CheckpointStoreTest, AWholeCheckpointIsNotReplaced) {
  Commit(1);
  std::ofstream(store_->FolderOf(1) / "note") << "the first one";
  Commit(1);
  EXPECT_TRUE(fs::exists(store_->FolderOf(1) / "note"));
  EXPECT_THAT(Entries(), ElementsAre("step-1"));
}

TEST_F(CheckpointStoreTest, ADamagedOneIsReplaced) {
  Commit(1);
  fs::resize_file(Weights(1), 3);
  Commit(1);
  EXPECT_THAT(Entries(), ElementsAre("step-1", "step-1.damaged"));
  EXPECT_EQ(NewestStep(), 1);
  EXPECT_EQ(ReadFile(Weights(1)).value(), "weights of step 1");
}

// Every file of a checkpoint, damaged in every way, sends the job back to the one before.
class Damage : public CheckpointStoreTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    CheckpointStoreTest::SetUp();
    Commit(1);
    Commit(2);
    file_ = store_->FolderOf(2) / GetParam();
    content_ = ReadFile(file_).value();
  }
  void ExpectRefused() {
    EXPECT_EQ(NewestStep(), 1);
    ASSERT_THAT(refused_, SizeIs(1));
    EXPECT_THAT(refused_[0], HasSubstr(file_.string()));
    EXPECT_THAT(Entries(), ElementsAre("step-1", "step-2.damaged"));
    fs::rename(folder_ / "step-2.damaged", folder_ / "step-2");
  }
  void Overwrite(const std::string& content) { std::ofstream(file_, std::ios::binary) << content; }

  fs::path file_;
  std::string content_;
};

TEST_P(Damage, ByTruncationIsRefused) {
  for (const size_t length : {size_t{0}, size_t{1}, content_.size() / 2, content_.size() - 1}) {
    SCOPED_TRACE(length);
    Overwrite(content_.substr(0, length));
    ExpectRefused();
  }
  Overwrite(content_ + "x");
  ExpectRefused();
  Overwrite(content_);
  EXPECT_EQ(NewestStep(), 2);
}

TEST_P(Damage, ByAFlippedBitIsRefused) {
  for (const size_t place : {size_t{0}, content_.size() / 3, content_.size() / 2, content_.size() - 1}) {
    SCOPED_TRACE(place);
    std::string flipped = content_;
    flipped[place] = static_cast<char>(flipped[place] ^ 4);
    Overwrite(flipped);
    ExpectRefused();
  }
}

TEST_P(Damage, ByALostFileIsRefused) {
  fs::remove(file_);
  ExpectRefused();
}

TEST_P(Damage, ByForeignBytesIsRefused) {
  Overwrite("{\"step\": 2}");
  ExpectRefused();
}

INSTANTIATE_TEST_SUITE_P(OfEveryFile, Damage,
                         testing::Values("manifest.json", kWeights, "critic-reward/optimizer"),
                         [](const auto& info) { return std::string(info.param).substr(0, 6); });

TEST_F(CheckpointStoreTest, ADamagedOneMakesPlaceForItsSuccessor) {
  for (int i = 0; i < 2; ++i) {
    Commit(1);
    fs::remove(Weights(1));
    EXPECT_EQ(NewestStep(), -1);
    EXPECT_THAT(refused_, SizeIs(1));
    EXPECT_THAT(Entries(), ElementsAre("step-1.damaged"));
  }
}

TEST_F(CheckpointStoreTest, ACopyUnderAnotherStepIsRefused) {
  Commit(1);
  fs::copy(store_->FolderOf(1), store_->FolderOf(7), fs::copy_options::recursive);
  EXPECT_EQ(NewestStep(), 1);
  EXPECT_THAT(refused_, ElementsAre(HasSubstr("holds the manifest of step 1")));
}

TEST_F(CheckpointStoreTest, OtherNamesAreNotCheckpoints) {
  Commit(1);
  for (const char* name : {"step-", "step-x", "step-02", "step-3 ", "steps", "step-99999999999999999999"}) {
    fs::copy(store_->FolderOf(1), folder_ / name, fs::copy_options::recursive);
  }
  EXPECT_EQ(NewestStep(), 1);
  EXPECT_THAT(refused_, IsEmpty());
}

TEST_F(CheckpointStoreTest, KeepsTheNewestEveryMthAndTheBest) {
  Commit(1, true, 5);
  Commit(2, true, 7);
  Commit(3, false, 100);
  Commit(4);
  Commit(5);
  Commit(6);
  Prepare(7);
  ASSERT_TRUE(store_->Retain({.keep_newest = 2, .keep_every = 4}).ok());
  EXPECT_THAT(Entries(), ElementsAre("step-2", "step-4", "step-5", "step-6"));
  EXPECT_EQ(NewestStep(), 6);
}

TEST_F(CheckpointStoreTest, TheNewestIsAlwaysKept) {
  Commit(1);
  Commit(2);
  ASSERT_TRUE(store_->Retain({.keep_newest = 0}).ok());
  EXPECT_THAT(Entries(), ElementsAre("step-2"));
}

TEST_F(CheckpointStoreTest, ADamagedManifestTakesNobodysPlace) {
  Commit(1);
  Commit(2);
  fs::resize_file(store_->FolderOf(2) / "manifest.json", 20);
  ASSERT_TRUE(store_->Retain({.keep_newest = 1}).ok());
  EXPECT_EQ(NewestStep(), 1);
}

TEST_F(CheckpointStoreTest, TheBestMeetsItsConstraintsFirst) {
  Commit(1, true, 2);
  Commit(2, true, 3);
  Commit(3, true, 3);
  Commit(4, false, 9);
  EXPECT_EQ((*store_->Best())->step, 3);
}

TEST_F(CheckpointStoreTest, WithoutOneThatMeetsThemTheNewestIsBest) {
  Commit(1, false, 9);
  Commit(2, false, 1);
  EXPECT_EQ((*store_->Best())->step, 2);
}

}  // namespace
}  // namespace rein::coordinator
