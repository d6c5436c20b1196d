#include "models/tokenizer/bpe.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxTokens = 1 << 20;
constexpr size_t kMaxTokenBytes = 1 << 16;
// Words kept in a workspace: a few MiB at most. Longer ones hardly come again.
constexpr size_t kMaxWords = 1 << 16;
constexpr size_t kMaxWordBytes = 64;

// Orders a heap so that the candidate of lowest rank comes first, of equals the leftmost.
bool ComesLater(const Bpe::Candidate& a, const Bpe::Candidate& b) { return a.order > b.order; }

void AppendSymbol(int32_t id, std::vector<Bpe::Symbol>& symbols) {
  const auto at = static_cast<int32_t>(symbols.size());
  if (at > 0) symbols.back().next = at;
  symbols.push_back({id, at - 1, -1});
}

}  // namespace

absl::StatusOr<Bpe> Bpe::Parse(const Fields& model, std::vector<VocabularyEntry> vocabulary) {
  REIN_ASSIGN_OR_RETURN(const std::string type, model.String("type", "BPE"));
  if (type != "BPE") return model.Unsupported("type", type, "BPE");
  Bpe bpe;
  REIN_RETURN_IF_ERROR(bpe.ParseOptions(model));
  REIN_RETURN_IF_ERROR(bpe.AddVocabulary(model, std::move(vocabulary)));
  REIN_RETURN_IF_ERROR(bpe.ParseMerges(model));
  REIN_ASSIGN_OR_RETURN(const std::string unknown, model.String("unk_token", ""));
  if (!unknown.empty()) {
    bpe.unknown_ = bpe.IdOf(unknown);
    if (bpe.unknown_ < 0)
      return model.Error("unk_token", absl::StrCat("\"", unknown, "\" is not in the vocabulary"));
  }
  bpe.IndexCharacters();
  return bpe;
}

absl::Status Bpe::ParseOptions(const Fields& model) {
  REIN_ASSIGN_OR_RETURN(const double dropout, model.Number("dropout", 0, 0, 1));
  if (dropout != 0) return model.Unsupported("dropout", absl::StrCat(dropout), "none");
  REIN_ASSIGN_OR_RETURN(prefix_, model.String("continuing_subword_prefix", ""));
  REIN_ASSIGN_OR_RETURN(suffix_, model.String("end_of_word_suffix", ""));
  for (const std::string* affix : {&prefix_, &suffix_}) {
    if (affix->size() <= kMaxWordBytes) continue;
    return model.Error(
        affix == &prefix_ ? "continuing_subword_prefix" : "end_of_word_suffix",
        absl::StrCat("has ", affix->size(), " bytes, at most ", kMaxWordBytes, " are allowed"));
  }
  REIN_ASSIGN_OR_RETURN(byte_fallback_, model.Bool("byte_fallback", false));
  REIN_ASSIGN_OR_RETURN(fuse_unknown_, model.Bool("fuse_unk", false));
  REIN_ASSIGN_OR_RETURN(ignore_merges_, model.Bool("ignore_merges", false));
  return absl::OkStatus();
}

absl::Status Bpe::AddVocabulary(const Fields& model, std::vector<VocabularyEntry> vocabulary) {
  const Json* object = model.Find("vocab");
  if (object == nullptr || !object->is_object()) return model.Error("vocab", "is missing or no object");
  ids_.reserve(vocabulary.size());
  for (VocabularyEntry& entry : vocabulary) {
    const auto refuse = [&](const std::string& what) {
      return model.Error("vocab", absl::StrCat("\"", entry.token.substr(0, 64), "\" ", what));
    };
    if (entry.id < 0 || entry.id >= kMaxTokens || entry.token.size() > kMaxTokenBytes) {
      return refuse(absl::StrCat("must be a token of at most ", kMaxTokenBytes,
                                 " bytes with an id from 0 to ", kMaxTokens - 1));
    }
    const auto id = static_cast<size_t>(entry.id);
    if (id >= tokens_.size()) tokens_.resize(id + 1);
    if (!tokens_[id].empty()) return refuse(absl::StrCat("has id ", id, ", as another token"));
    if (!ids_.emplace(entry.token, static_cast<int32_t>(id)).second) return refuse("is there twice");
    tokens_[id] = std::move(entry.token);
  }
  return absl::OkStatus();
}

absl::Status Bpe::ParseMerges(const Fields& model) {
  const Json* merges = model.Find("merges");
  if (merges == nullptr || !merges->is_array()) return model.Error("merges", "is missing or no list");
  merges_.reserve(merges->size());
  int32_t rank = 0;
  for (const Json& merge : *merges) {
    if (merge.is_string()) {
      const absl::string_view text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space == absl::string_view::npos || text.find(' ', space + 1) != absl::string_view::npos)
        return model.Error("merges", absl::StrCat("has \"", text.substr(0, 64), "\", no pair"));
      REIN_RETURN_IF_ERROR(AddMerge(model, text.substr(0, space), text.substr(space + 1), rank++));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      REIN_RETURN_IF_ERROR(AddMerge(model, merge[0].get_ref<const std::string&>(),
                                    merge[1].get_ref<const std::string&>(), rank++));
    } else {
      return model.Error("merges", absl::StrCat("has entry ", rank, ", which is no pair of texts"));
    }
  }
  return absl::OkStatus();
}

absl::Status Bpe::AddMerge(const Fields& model, absl::string_view left, absl::string_view right,
                           int32_t rank) {
  const bool fits = absl::StartsWith(right, prefix_);
  const int32_t left_id = IdOf(left), right_id = IdOf(right);
  const int32_t merged = fits ? IdOf(absl::StrCat(left, right.substr(prefix_.size()))) : -1;
  if (left_id < 0 || right_id < 0 || merged < 0) {
    return model.Error("merges", absl::StrCat("has the pair \"", left.substr(0, 64), "\" \"",
                                              right.substr(0, 64), "\", which is not in the vocabulary"));
  }
  merges_.insert_or_assign(PairKey(left_id, right_id), Merge{.rank = rank, .id = merged});
  return absl::OkStatus();
}

void Bpe::IndexCharacters() {
  small_ids_.fill(-1);
  for (const auto& [token, id] : ids_) {
    if (token.empty() || CharBytes(token, 0) != token.size()) continue;
    if (const uint32_t code_point = DecodeChar(token, 0); code_point < small_ids_.size()) {
      small_ids_[code_point] = id;
    }
  }
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = byte_fallback_ ? IdOf(absl::StrFormat("<0x%02X>", byte)) : -1;
  }
}

int32_t Bpe::IdOf(absl::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

int32_t Bpe::IdOfCharacter(absl::string_view character, bool first, bool last) const {
  const bool dressed = (!first && !prefix_.empty()) || (last && !suffix_.empty());
  if (dressed) return IdOf(absl::StrCat(first ? "" : prefix_, character, last ? suffix_ : ""));
  const uint32_t code_point = DecodeChar(character, 0);
  return code_point < small_ids_.size() ? small_ids_[code_point] : IdOf(character);
}

// All of its bytes or none.
bool Bpe::AddBytes(absl::string_view character, bool first, bool last, std::vector<Symbol>& symbols) const {
  const std::string dressed = absl::StrCat(first ? "" : prefix_, character, last ? suffix_ : "");
  const auto id_of = [&](char byte) { return byte_ids_[static_cast<uint8_t>(byte)]; };
  if (!std::all_of(dressed.begin(), dressed.end(), [&](char byte) { return id_of(byte) >= 0; })) return false;
  for (const char byte : dressed) AppendSymbol(id_of(byte), symbols);
  return true;
}

void Bpe::FillSymbols(absl::string_view text, std::vector<Symbol>& symbols) const {
  symbols.clear();
  bool pending = false;  // an unknown token that more characters may join
  for (size_t at = 0; at < text.size();) {
    const absl::string_view character = text.substr(at, CharBytes(text, at));
    const bool first = at == 0, last = at + character.size() == text.size();
    at += character.size();
    if (const int32_t id = IdOfCharacter(character, first, last); id >= 0) {
      if (std::exchange(pending, false)) AppendSymbol(unknown_, symbols);
      AppendSymbol(id, symbols);
    } else if ((!byte_fallback_ || !AddBytes(character, first, last, symbols)) && unknown_ >= 0) {
      if (pending && !fuse_unknown_) AppendSymbol(unknown_, symbols);
      pending = true;
    }
  }
  if (pending) AppendSymbol(unknown_, symbols);
}

void Bpe::Propose(int32_t left, Workspace& workspace) const {
  const std::vector<Symbol>& symbols = workspace.symbols;
  if (left < 0 || symbols[static_cast<size_t>(left)].next < 0) return;
  const Symbol& symbol = symbols[static_cast<size_t>(left)];
  const auto merge = merges_.find(PairKey(symbol.id, symbols[static_cast<size_t>(symbol.next)].id));
  if (merge == merges_.end()) return;
  const auto rank = static_cast<uint64_t>(merge->second.rank);
  workspace.queue.push_back({rank << 32 | static_cast<uint32_t>(left), merge->second.id});
  std::push_heap(workspace.queue.begin(), workspace.queue.end(), ComesLater);
}

void Bpe::MergeAll(Workspace& workspace) const {
  std::vector<Symbol>& symbols = workspace.symbols;
  std::vector<Candidate>& queue = workspace.queue;
  queue.clear();
  for (size_t left = 0; left + 1 < symbols.size(); ++left) Propose(static_cast<int32_t>(left), workspace);
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), ComesLater);
    const Candidate best = queue.back();
    queue.pop_back();
    const auto at = static_cast<int32_t>(best.order & UINT32_MAX);
    Symbol& left = symbols[static_cast<size_t>(at)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    // Either side may have been merged since this was proposed; it still holds if it comes to the same token.
    const auto merge = merges_.find(PairKey(left.id, right.id));
    if (merge == merges_.end() || merge->second.id != best.merged) continue;
    left.id = best.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = at;
    Propose(left.previous, workspace);
    Propose(at, workspace);
  }
}

void Bpe::EncodeAnew(absl::string_view text, Workspace& workspace, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t whole = IdOf(text); whole >= 0) return ids.push_back(whole);
  }
  FillSymbols(text, workspace.symbols);
  MergeAll(workspace);
  for (const Symbol& symbol : workspace.symbols) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
}

void Bpe::Encode(absl::string_view piece, bool bytes, Workspace& workspace, std::vector<int32_t>& ids) const {
  const bool keep = piece.size() <= kMaxWordBytes;
  if (keep) {
    const auto known = workspace.words.find(piece);
    if (known != workspace.words.end()) {
      ids.insert(ids.end(), known->second.begin(), known->second.end());
      return;
    }
  }
  const size_t before = ids.size();
  EncodeAnew(bytes ? absl::string_view(ToByteLevel(piece)) : piece, workspace, ids);
  if (!keep) return;
  if (workspace.words.size() >= kMaxWords) workspace.words.clear();
  workspace.words[piece].assign(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
}

}  // namespace rein::models
