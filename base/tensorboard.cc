#include "base/tensorboard.h"

#include <unistd.h>

#include <bit>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/append_file.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein {
namespace {

namespace fs = std::filesystem;

// Field numbers of tensorflow/core/util/event.proto and framework/summary.proto.
constexpr uint32_t kEventWallTime = 1;
constexpr uint32_t kEventStep = 2;
constexpr uint32_t kEventFileVersion = 3;
constexpr uint32_t kEventSummary = 5;
constexpr uint32_t kEventSessionLog = 7;
constexpr uint32_t kSummaryValue = 1;
constexpr uint32_t kValueTag = 1;
constexpr uint32_t kValueSimpleValue = 2;
constexpr uint32_t kSessionLogStatus = 1;
constexpr uint64_t kSessionStart = 1;

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void AppendLittleEndian(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void AppendKey(uint32_t field, WireType type, std::string* out) { AppendVarint(field << 3 | type, out); }

void AppendInt(uint32_t field, uint64_t value, std::string* out) {
  AppendKey(field, kVarint, out);
  AppendVarint(value, out);
}

void AppendString(uint32_t field, absl::string_view value, std::string* out) {
  AppendKey(field, kBytes, out);
  AppendVarint(value.size(), out);
  out->append(value.data(), value.size());
}

void AppendDouble(uint32_t field, double value, std::string* out) {
  AppendKey(field, kFixed64, out);
  AppendLittleEndian(std::bit_cast<uint64_t>(value), 8, out);
}

void AppendFloat(uint32_t field, float value, std::string* out) {
  AppendKey(field, kFixed32, out);
  AppendLittleEndian(std::bit_cast<uint32_t>(value), 4, out);
}

// TFRecord never stores a checksum plain, so that checksums over records that hold some stay meaningful.
uint32_t MaskedCrc(absl::string_view bytes) {
  const uint32_t crc = Crc32c(bytes);
  return std::rotr(crc, 15) + 0xa282ead8u;
}

// length (8 bytes), its checksum, the event, its checksum.
std::string Record(absl::string_view event) {
  std::string record;
  AppendLittleEndian(event.size(), 8, &record);
  AppendLittleEndian(MaskedCrc(record), 4, &record);
  absl::StrAppend(&record, event);
  AppendLittleEndian(MaskedCrc(event), 4, &record);
  return record;
}

std::string EventNow() {
  std::string event;
  AppendDouble(kEventWallTime, absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()), &event);
  return event;
}

std::string FileVersion() {
  std::string event = EventNow();
  AppendString(kEventFileVersion, "brain.Event:2", &event);
  return event;
}

std::string SessionStart(int64_t step) {
  std::string event = EventNow();
  AppendInt(kEventStep, static_cast<uint64_t>(step), &event);
  std::string session;
  AppendInt(kSessionLogStatus, kSessionStart, &session);
  AppendString(kEventSessionLog, session, &event);
  return event;
}

std::string Scalars(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, number] : scalars) {
    std::string value;
    AppendString(kValueTag, tag, &value);
    AppendFloat(kValueSimpleValue, static_cast<float>(number), &value);
    AppendString(kSummaryValue, value, &summary);
  }
  std::string event = EventNow();
  AppendInt(kEventStep, static_cast<uint64_t>(step), &event);
  AppendString(kEventSummary, summary, &event);
  return event;
}

// TensorBoard reads the files of a folder in the order of their names. Two files of one second and process
// are told apart by a number at the end.
fs::path NewFileName(const fs::path& folder) {
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  const std::string name =
      absl::StrCat("events.out.tfevents.", absl::ToUnixSeconds(absl::Now()), ".", host, ".", getpid());
  fs::path path = folder / name;
  std::error_code error;
  for (int i = 1; fs::exists(path, error); ++i) path = folder / absl::StrCat(name, ".", i);
  return path;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TensorBoardWriter>> TensorBoardWriter::Open(const fs::path& folder,
                                                                           int64_t first_step) {
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  const fs::path path = NewFileName(folder);
  REIN_RETURN_IF_ERROR(AppendToFile(path, Record(FileVersion()) + Record(SessionStart(first_step))));
  return std::unique_ptr<TensorBoardWriter>(new TensorBoardWriter(path));
}

absl::Status TensorBoardWriter::WriteScalars(int64_t step,
                                             const std::vector<std::pair<std::string, double>>& scalars) {
  return Write({{step, scalars}});
}

absl::Status TensorBoardWriter::Write(const std::vector<Event>& events) {
  std::string records;
  for (const Event& event : events) absl::StrAppend(&records, Record(Scalars(event.step, event.scalars)));
  return AppendToFile(path_, records);
}

}  // namespace rein
