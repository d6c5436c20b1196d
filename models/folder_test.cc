#include "models/folder.h"

#include <string>

#include "models/json.h"
#include "models/llava/names.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

absl::Status LoadStatus(const std::filesystem::path& folder) { return LoadModel(folder).status(); }

// The single-file fixture with its tensors changed.
template <typename Change>
absl::Status LoadChanged(Change change) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/grouped_queries");
  auto tensors = ReadSafetensors(model / "model.safetensors");
  EXPECT_TRUE(tensors.ok());
  change(*tensors);
  EXPECT_TRUE(WriteSafetensors(model / "model.safetensors", *tensors).ok());
  return LoadStatus(model);
}

TEST(LoadModel, NamesMissingTensors) {
  ExpectError(LoadChanged([](NamedTensors& tensors) { tensors.erase(tensors.begin()); }),
              StatusCode::kInvalidArgument, {"missing", "config.json"});
  ExpectError(LoadChanged([](NamedTensors& tensors) { tensors.resize(10); }), StatusCode::kInvalidArgument,
              {"missing", "more"});
}

TEST(LoadModel, NamesTensorsThatDoNotBelong) {
  ExpectError(LoadChanged([](NamedTensors& tensors) {
                for (int i = 0; i < 5; ++i) tensors.emplace_back(absl::StrCat("extra.", i), at::ones({1}));
              }),
              StatusCode::kInvalidArgument, {"extra.0, extra.1, extra.2 and 2 more"});
}

TEST(LoadModel, NamesWrongShapesAndDtypes) {
  ExpectError(LoadChanged([](NamedTensors& tensors) {
                tensors[0].second = at::ones({3, 3});
              }),
              StatusCode::kInvalidArgument, {"[3, 3]", "asks for", "model.safetensors"});
  ExpectError(LoadChanged([](NamedTensors& tensors) { tensors[0].second = tensors[0].second.to(at::kInt); }),
              StatusCode::kInvalidArgument, {"Int", "floating point"});
}

TEST(LoadModel, RefusesOneTensorUnderTwoSpellings) {
  ExpectError(LoadChanged([](NamedTensors& tensors) {
                tensors.emplace_back("model." + tensors[0].first, tensors[0].second);
              }),
              StatusCode::kInvalidArgument, {"twice"});
}

TEST(LoadModel, RefusesEveryTruncationOfTheWeights) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/grouped_queries");
  const std::string whole = *ReadFile(model / "model.safetensors");
  for (size_t length = 0; length < whole.size(); length += 1 + whole.size() / 97) {
    Write(model / "model.safetensors", absl::string_view(whole).substr(0, length));
    ExpectError(LoadStatus(model), StatusCode::kInvalidArgument, {"model.safetensors"});
  }
}

TEST(LoadModel, RefusesPicklesAndSaysHowToConvert) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/plain");
  std::filesystem::rename(model / "model.safetensors", model / "pytorch_model.bin");
  ExpectError(LoadStatus(model), StatusCode::kUnimplemented, {"pickled", "python -c", "save_pretrained"});
  ExpectError(ModelDigest(model).status(), StatusCode::kUnimplemented, {"pickled"});
}

TEST(LoadModel, NamesMissingAndBrokenFiles) {
  const TestFolder folder;
  ExpectError(LoadStatus(folder / "nowhere"), StatusCode::kNotFound, {"nowhere"});
  ExpectError(LoadStatus(folder.path()), StatusCode::kNotFound, {"config.json"});
  const auto model = folder.CopyOf("llava/plain");
  std::filesystem::remove(model / "model.safetensors");
  ExpectError(LoadStatus(model), StatusCode::kNotFound, {"model.safetensors"});
  Write(model / "config.json", "{\"model_type\": \"llava\"");
  ExpectError(LoadStatus(model), StatusCode::kInvalidArgument, {"config.json"});
  Write(model / "config.json", "{}");
  ExpectError(LoadStatus(model), StatusCode::kUnimplemented, {"model_type", "llava"});
  ExpectError(LoadModel(Fixture("llava/plain"), {.dtype = at::kLong}).status(), StatusCode::kUnimplemented,
              {"float32"});
}

TEST(LoadModel, ChecksTheIndexOfShards) {
  const auto refuse = [](auto change, std::initializer_list<std::string> texts) {
    const TestFolder folder;
    const auto model = folder.CopyOf("llava/sharded_biases_old_theta");
    const auto file = model / "model.safetensors.index.json";
    Json index = Json::parse(*ReadFile(file));
    change(index);
    Write(file, index.dump());
    ExpectError(LoadStatus(model), StatusCode::kInvalidArgument, texts);
  };
  const std::string name = "language_model.lm_head.weight";
  refuse([&](Json& index) { index["weight_map"].erase(name); }, {name, "not listed"});
  refuse([&](Json& index) { index["weight_map"]["ghost"] = index["weight_map"][name]; },
         {"ghost", "missing"});
  refuse([&](Json& index) { index["weight_map"][name] = "../../etc/x.safetensors"; }, {name, "same folder"});
  refuse([&](Json& index) { index["weight_map"][name] = 3; }, {name, "file name"});
  refuse([&](Json& index) { index["weight_map"] = Json::object(); }, {"weight_map"});
  refuse([&](Json& index) { index["weight_map"] = Json::array(); }, {"weight_map"});
}

TEST(LoadModel, NamesAMissingShard) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/sharded_biases_old_theta");
  std::filesystem::remove(model / "model-00002-of-00003.safetensors");
  ExpectError(LoadStatus(model), StatusCode::kNotFound, {"model-00002-of-00003.safetensors"});
}

TEST(LoadModel, IgnoresBuffersOfOldFoldersAndTheHeadOfTiedModels) {
  EXPECT_TRUE(LoadChanged([](NamedTensors& tensors) {
                tensors.emplace_back("language_model.model.layers.0.self_attn.rotary_emb.inv_freq",
                                     at::ones({4}));
                tensors.emplace_back("vision_tower.vision_model.embeddings.position_ids",
                                     at::ones({1, 5}, at::kLong));
              }).ok());
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/tied_one_kv_head");
  auto tensors = ReadSafetensors(model / "model.safetensors");
  tensors->emplace_back("lm_head.weight", at::ones({96, 32}));
  ASSERT_TRUE(WriteSafetensors(model / "model.safetensors", *tensors).ok());
  EXPECT_TRUE(LoadStatus(model).ok());
}

TEST(SaveModel, RefusesAFolderThatIsNotEmpty) {
  const TestFolder folder;
  const auto model = LoadModel(Fixture("llava/plain"));
  ASSERT_TRUE(model.ok());
  Write(folder / "precious", "x");
  ExpectError(SaveModel(**model, folder.path()), StatusCode::kAlreadyExists, {"not empty"});
  EXPECT_EQ(*ReadFile(folder / "precious"), "x");
  std::filesystem::create_directory(folder / "empty");
  EXPECT_TRUE(SaveModel(**model, folder / "empty").ok());
}

TEST(SaveModel, KeepsSideFilesEvenWhenTheSourceIsGone) {
  const TestFolder folder;
  const auto source = folder.CopyOf("llava/plain");
  Write(source / "tokenizer.json", "{\"any\": 1}");
  Write(source / "unrelated.txt", "x");
  const auto model = LoadModel(source);
  ASSERT_TRUE(model.ok());
  std::filesystem::remove_all(source);
  ASSERT_TRUE(SaveModel(**model, folder / "saved").ok());
  EXPECT_EQ(*ReadFile(folder / "saved/tokenizer.json"), "{\"any\": 1}");
  EXPECT_FALSE(std::filesystem::exists(folder / "saved/unrelated.txt"));
}

TEST(SaveModel, WritesClassicNamesAndConvertsDtypes) {
  const TestFolder folder;
  const auto model = LoadModel(Fixture("llava/head_dim_and_theta"), {.dtype = at::kBFloat16});
  ASSERT_TRUE(model.ok());
  ASSERT_TRUE(SaveModel(**model, folder / "saved").ok());
  for (const auto& [name, tensor] : ReadAsMap(folder / "saved/model.safetensors")) {
    EXPECT_EQ(name, CanonicalLlavaName(name));
    EXPECT_EQ(tensor.scalar_type(), at::kBFloat16) << name;
  }
  EXPECT_THAT(*ReadFile(folder / "saved/config.json"), testing::HasSubstr("\"bfloat16\""));
}

TEST(ModelDigest, ChangesWithWeightsAndConfigurationOnly) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/plain");
  const std::string before = *ModelDigest(model);
  EXPECT_EQ(before.size(), 64u);
  EXPECT_EQ(before, *ModelDigest(Fixture("llava/plain")));
  Write(model / "README.md", "x");
  EXPECT_EQ(*ModelDigest(model), before);
  Write(model / "config.json", *ReadFile(model / "config.json") + " ");
  EXPECT_NE(*ModelDigest(model), before);
  std::filesystem::copy(Fixture("llava/plain") / "config.json", model / "config.json",
                        std::filesystem::copy_options::overwrite_existing);
  std::string weights = *ReadFile(model / "model.safetensors");
  weights.back() ^= 1;
  Write(model / "model.safetensors", weights);
  EXPECT_NE(*ModelDigest(model), before);
  std::filesystem::remove(model / "config.json");
  ExpectError(ModelDigest(model).status(), StatusCode::kNotFound, {"config.json"});
}

TEST(CanonicalLlavaName, AcceptsEverySpelling) {
  const std::string layer = "layers.0.mlp.up_proj.weight";
  for (const std::string& name :
       {"language_model.model." + layer, "model.language_model." + layer,
        "model.language_model.model." + layer, "model.model.language_model." + layer}) {
    EXPECT_EQ(CanonicalLlavaName(name), "language_model.model." + layer);
  }
  for (const std::string name : {"lm_head.weight", "language_model.lm_head.weight",
                                 "model.language_model.lm_head.weight", "model.lm_head.weight"}) {
    EXPECT_EQ(CanonicalLlavaName(name), "language_model.lm_head.weight");
  }
  for (const std::string name :
       {"vision_tower.pre_layrnorm.bias", "vision_tower.vision_model.pre_layrnorm.bias",
        "model.vision_tower.pre_layrnorm.bias", "model.vision_tower.vision_model.pre_layrnorm.bias"}) {
    EXPECT_EQ(CanonicalLlavaName(name), "vision_tower.vision_model.pre_layrnorm.bias");
  }
  EXPECT_EQ(CanonicalLlavaName("score_head.weight"), "score_head.weight");
}

}  // namespace
}  // namespace rein::models
