// Bytes as the config.json of a model folder, whose family is the one that they name: its processor is
// loaded, which parses the configuration and holds it against the folder's other files, or there is an error.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/file.h"
#include "base/test_folder.h"
#include "models/processor.h"

namespace {

// The smallest folder whose side files fit configurations of the corpus.
constexpr char kTokenizer[] = R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
  "pre_tokenizer": null, "normalizer": null, "decoder": null, "post_processor": null,
  "added_tokens": [{"id": 2, "content": "<image>", "special": true},
                   {"id": 3, "content": "</s>", "special": true},
                   {"id": 4, "content": "<fake_token_around_image>", "special": true},
                   {"id": 5, "content": "<global-img>", "special": true}]})";
constexpr char kImages[] = R"({"size": {"height": 16, "width": 16}, "crop_size": 16})";

class Folder {
 public:
  Folder() {
    folder_.Write("tokenizer.json", kTokenizer);
    folder_.Write("tokenizer_config.json", R"({"eos_token": "</s>"})");
    folder_.Write("preprocessor_config.json", kImages);
    folder_.Write("chat_template.jinja", "{{ messages[0].content }}");
  }

  void Load(absl::string_view config) const {
    folder_.Write("config.json", std::string(config));
    (void)rein::models::Processor::Load(folder_.path());
  }

 private:
  rein::TestFolder folder_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder folder;
  folder.Load({reinterpret_cast<const char*>(data), size});
  return 0;
}
