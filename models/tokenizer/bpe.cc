#include "models/tokenizer/bpe.h"

#include <queue>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxTokens = 1 << 22;
constexpr size_t kMaxTokenBytes = 1 << 16;

absl::Status RefuseText(const Fields& model, const std::string& key) {
  REIN_ASSIGN_OR_RETURN(const std::string text, model.String(key, ""));
  return text.empty() ? absl::OkStatus() : model.Unsupported(key, text, "none");
}

absl::Status RefuseFlag(const Fields& model, const std::string& key) {
  REIN_ASSIGN_OR_RETURN(const bool flag, model.Bool(key, false));
  return flag ? model.Unsupported(key, "true", "false") : absl::OkStatus();
}

// A piece being merged: a doubly linked list in an array.
struct Symbol {
  int32_t id;
  int previous;
  int next;  // -1 at the end; ids of merged-away symbols are -1
};

// The candidate of lowest rank comes first, of equals the leftmost.
struct Candidate {
  int32_t rank;
  int left;
  int32_t left_id, right_id, merged;
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

absl::StatusOr<Bpe> Bpe::Parse(const Fields& model) {
  REIN_ASSIGN_OR_RETURN(const std::string type, model.String("type", "BPE"));
  if (type != "BPE") return model.Unsupported("type", type, "BPE (byte-level)");
  REIN_ASSIGN_OR_RETURN(const double dropout, model.Number("dropout", 0, 0, 1));
  if (dropout != 0) return model.Unsupported("dropout", absl::StrCat(dropout), "none");
  REIN_RETURN_IF_ERROR(RefuseText(model, "continuing_subword_prefix"));
  REIN_RETURN_IF_ERROR(RefuseText(model, "end_of_word_suffix"));
  REIN_RETURN_IF_ERROR(RefuseFlag(model, "byte_fallback"));
  REIN_RETURN_IF_ERROR(RefuseFlag(model, "fuse_unk"));
  Bpe bpe;
  REIN_ASSIGN_OR_RETURN(bpe.ignore_merges_, model.Bool("ignore_merges", false));
  REIN_RETURN_IF_ERROR(bpe.ParseVocabulary(model));
  REIN_RETURN_IF_ERROR(bpe.ParseMerges(model));
  REIN_ASSIGN_OR_RETURN(const std::string unknown, model.String("unk_token", ""));
  if (!unknown.empty()) {
    bpe.unknown_ = bpe.IdOf(unknown);
    if (bpe.unknown_ < 0)
      return model.Error("unk_token", absl::StrCat("\"", unknown, "\" is not in the vocabulary"));
  }
  return bpe;
}

absl::Status Bpe::ParseVocabulary(const Fields& model) {
  if (!model.Has("vocab")) return model.Error("vocab", "is missing");
  REIN_ASSIGN_OR_RETURN(const Fields vocabulary, model.Object("vocab"));
  for (const auto& [token, value] : vocabulary.json().items()) {
    const bool fits = value.is_number_unsigned() && value.get<uint64_t>() < static_cast<uint64_t>(kMaxTokens);
    if (!fits || token.size() > kMaxTokenBytes) {
      return vocabulary.Error(token.substr(0, 64),
                              absl::StrCat("must be a token with an id from 0 to ", kMaxTokens - 1));
    }
    const auto id = value.get<int32_t>();
    if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(static_cast<size_t>(id) + 1);
    if (!tokens_[static_cast<size_t>(id)].empty())
      return vocabulary.Error(token, absl::StrCat("has id ", id, ", as another token"));
    tokens_[static_cast<size_t>(id)] = token;
    if (!ids_.emplace(token, id).second) return vocabulary.Error(token, "is there twice");
  }
  return absl::OkStatus();
}

absl::Status Bpe::ParseMerges(const Fields& model) {
  const Json* merges = model.Find("merges");
  if (merges == nullptr || !merges->is_array()) return model.Error("merges", "is missing or no list");
  int32_t rank = 0;
  for (const Json& merge : *merges) {
    std::string left, right;
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space == std::string::npos)
        return model.Error("merges", absl::StrCat("has \"", text, "\", no pair"));
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      return model.Error("merges", absl::StrCat("has entry ", rank, ", which is no pair of texts"));
    }
    REIN_RETURN_IF_ERROR(AddMerge(model, left, right, rank++));
  }
  return absl::OkStatus();
}

absl::Status Bpe::AddMerge(const Fields& model, const std::string& left, const std::string& right,
                           int32_t rank) {
  const int32_t left_id = IdOf(left), right_id = IdOf(right), merged = IdOf(left + right);
  if (left_id < 0 || right_id < 0 || merged < 0) {
    return model.Error("merges", absl::StrCat("has the pair \"", left, "\" \"", right,
                                              "\", which is not in the vocabulary"));
  }
  merges_.insert_or_assign(PairKey(left_id, right_id), Merge{.rank = rank, .id = merged});
  return absl::OkStatus();
}

int32_t Bpe::IdOf(const std::string& token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

std::vector<int32_t> Bpe::Characters(const std::string& piece) const {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < piece.size();) {
    const size_t bytes = CharBytes(piece, i);
    const int32_t id = IdOf(piece.substr(i, bytes));
    if (id >= 0) {
      ids.push_back(id);
    } else if (unknown_ >= 0) {
      ids.push_back(unknown_);
    }
    i += bytes;
  }
  return ids;
}

void Bpe::Encode(const std::string& piece, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t whole = IdOf(piece); whole >= 0) {
      ids.push_back(whole);
      return;
    }
  }
  std::vector<Symbol> symbols;
  for (const int32_t id : Characters(piece)) {
    const int at = static_cast<int>(symbols.size());
    if (at > 0) symbols.back().next = at;
    symbols.push_back({id, at - 1, -1});
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto propose = [&](int left) {
    if (left < 0 || symbols[left].next < 0) return;
    const int32_t left_id = symbols[left].id, right_id = symbols[symbols[left].next].id;
    const auto merge = merges_.find(PairKey(left_id, right_id));
    if (merge != merges_.end()) queue.push({merge->second.rank, left, left_id, right_id, merge->second.id});
  };
  for (int i = 0; i < static_cast<int>(symbols.size()); ++i) propose(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    // Either side may have been merged since this was proposed.
    if (left.id != best.left_id || left.next < 0 || symbols[left.next].id != best.right_id) continue;
    Symbol& right = symbols[left.next];
    left.id = best.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    propose(left.previous);
    propose(best.left);
  }
  for (int i = symbols.empty() ? -1 : 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace rein::models
