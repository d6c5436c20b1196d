// A model of published size, to measure loading with.
#pragma once

#include <filesystem>
#include <string>

namespace rein::bench {

// The layout of LLaVA-1.5 with random weights in bfloat16, and tokenizer and image processor that go with it.
// size: "7b", 14.1 GB as published, or "small", 0.8 GB. Ends the process with a message if it fails.
void WriteLlava(const std::string& size, const std::filesystem::path& folder);

}  // namespace rein::bench
