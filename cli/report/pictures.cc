#include "cli/report/pictures.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "data/image_header.h"

namespace rein::report {
namespace {

constexpr uint64_t kMaxPictureBytes = 2 << 20;

// Digests are hex: nothing that could lead out of the folder.
bool IsDigest(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isxdigit(static_cast<unsigned char>(c));
  });
}

}  // namespace

std::string DataUri(const std::string& encoded) {
  const auto header = data::ReadImageHeader(encoded);
  if (encoded.size() > kMaxPictureBytes || !header.ok()) return "";
  return absl::StrCat("data:", header->media_type, ";base64,", absl::Base64Escape(encoded));
}

std::string PictureUri(const std::filesystem::path& run_dir, const std::string& digest) {
  if (!IsDigest(digest)) return "";
  for (const char* extension : {".png", ".jpg", ".webp"}) {
    const auto bytes = ReadFile(run_dir / "pictures" / absl::StrCat(digest, extension), kMaxPictureBytes);
    if (!bytes.ok()) continue;
    if (std::string uri = DataUri(*bytes); !uri.empty()) return uri;
  }
  return "";
}

}  // namespace rein::report
