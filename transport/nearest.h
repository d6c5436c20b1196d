// "did you mean": the closest of some names.
#pragma once

#include <string>
#include <vector>

namespace rein::transport {

// The name with the smallest edit distance to `word`; empty when none is close (more than a third of the
// letters differ).
std::string NearestName(const std::string& word, const std::vector<std::string>& names);

// "; did you mean 'NAME'?" or, where nothing is close, "; allowed: a, b, c".
std::string Suggestion(const std::string& word, const std::vector<std::string>& names);

}  // namespace rein::transport
