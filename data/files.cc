#include "data/files.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace rein::data {
namespace {

using Paths = std::vector<std::filesystem::path>;

bool Speaks(Split split, const std::filesystem::path& name) {
  const std::string word = absl::AsciiStrToLower(name.string());
  if (split == Split::kTrain) return absl::StartsWith(word, "train");
  return absl::StartsWith(word, "eval") || absl::StartsWith(word, "val") || absl::StartsWith(word, "test");
}

bool IsOf(Split split, const std::filesystem::path& file) {
  if (split == Split::kAll || Speaks(split, file.filename())) return true;
  const Split other = split == Split::kTrain ? Split::kEvaluation : Split::kTrain;
  return Speaks(split, file.parent_path().filename()) && !Speaks(other, file.filename());
}

std::string NamesText(const Paths& files, const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min<size_t>(3, files.size()); ++i)
    names.push_back(files[i].lexically_relative(folder).string());
  return absl::StrCat(absl::StrJoin(names, ", "),
                      files.size() > 3 ? absl::StrCat(" and ", files.size() - 3, " more") : "");
}

// All regular files below a folder; folders that hold nothing are noted.
Paths Walk(const std::filesystem::path& folder, std::vector<std::string>& empty_folders) {
  Paths files;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    if (entry.is_regular_file(error)) files.push_back(entry.path());
    if (entry.is_directory(error) && std::filesystem::is_empty(entry.path(), error))
      empty_folders.push_back(entry.path().lexically_relative(folder).string());
  }
  std::sort(files.begin(), files.end());
  std::sort(empty_folders.begin(), empty_folders.end());
  return files;
}

Paths WithExtension(const Paths& files, const char* extension) {
  Paths some;
  std::copy_if(files.begin(), files.end(), std::back_inserter(some),
               [extension](const std::filesystem::path& file) { return file.extension() == extension; });
  return some;
}

}  // namespace

absl::StatusOr<DataFiles> FindDataFiles(const std::filesystem::path& path, Split split) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) return DataFiles{{path}, {}};
  if (!std::filesystem::is_directory(path, error))
    return absl::NotFoundError(absl::StrCat(path.string(), ": no such file or folder"));
  DataFiles found;
  const Paths all = Walk(path, found.empty_folders);
  Paths known;
  for (const char* extension : {".parquet", ".jsonl", ".json"}) {
    if (known.empty()) known = WithExtension(all, extension);
  }
  if (known.empty())
    return absl::NotFoundError(
        absl::StrCat(path.string(), ": no *.parquet, *.jsonl or *.json file below it"));
  std::copy_if(known.begin(), known.end(), std::back_inserter(found.files),
               [split](const std::filesystem::path& file) { return IsOf(split, file); });
  if (!found.files.empty()) return found;
  return absl::NotFoundError(absl::StrCat(path.string(), ": no file of the ",
                                          split == Split::kTrain ? "train" : "evaluation",
                                          " split; there are ", NamesText(known, path)));
}

}  // namespace rein::data
