#include "data/row_keys.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"

namespace rein::data {

uint64_t KeyOf(absl::string_view bytes) {
  uint64_t key = 0;
  return absl::SimpleHexAtoi(absl::string_view(Sha256Hex(bytes)).substr(0, 16), &key) ? key : 0;
}

uint64_t PicturesKey(const Row& row) {
  if (row.pictures.size() == 1) return KeyOf(row.pictures[0].bytes);
  std::string keys;
  for (const Picture& picture : row.pictures) absl::StrAppend(&keys, KeyOf(picture.bytes), ",");
  return keys.empty() ? 0 : KeyOf(keys);
}

uint64_t PromptKey(const Row& row) { return KeyOf(absl::StrCat(PicturesKey(row), "\n", row.question)); }

uint64_t RowKey(const Row& row) {
  std::string text = absl::StrCat(PromptKey(row));
  for (const Response& response : row.responses)
    absl::StrAppend(&text, "\n", response.text.size(), "\n", response.text);
  return KeyOf(text);
}

}  // namespace rein::data
