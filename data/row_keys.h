// Keys by which rows, pictures and texts are compared with others that are no longer in memory.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "data/row.h"

namespace rein::data {

// The first 64 bits of SHA-256: two million keys collide with a probability of one in ten million.
uint64_t KeyOf(absl::string_view bytes);
// Of all pictures of a row, in their order; 0: none.
uint64_t PicturesKey(const Row& row);
// Of pictures and question.
uint64_t PromptKey(const Row& row);
// Of pictures, question and the texts of the answers.
uint64_t RowKey(const Row& row);

}  // namespace rein::data
