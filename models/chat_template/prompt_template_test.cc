#include "models/chat_template/prompt_template.h"

#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

constexpr char kFamily[] =
    "{% for m in messages %}{{ m.role }}:{% for c in m.content %}{{ '<image>' if c.type == 'image' else "
    "c.text }}"
    "{% endfor %}{{ eos_token }}{% endfor %}{% if add_generation_prompt %} assistant:{% endif %}";

TEST(PromptTemplate, PutsPicturesBeforeTheQuestion) {
  TestFolder folder;
  Write(folder / "tokenizer_config.json", R"({"eos_token": "</s>"})");
  const auto prompt = PromptTemplate::Load(folder.path(), kFamily, "<image>");
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(*prompt->Render("Which?", 2), "user:<image><image>Which?</s> assistant:");
  EXPECT_EQ(*prompt->Render("Hi", 0), "user:Hi</s> assistant:");
}

TEST(PromptTemplate, PrefersTheTemplateOfTheFolder) {
  TestFolder folder;
  Write(folder / "chat_template.jinja",
        "{% for c in messages[0].content %}({{ c.type }}{{ '<image>' if c.type == 'image' }}){% endfor %}");
  const auto prompt = PromptTemplate::Load(folder.path(), kFamily, "<image>");
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(*prompt->Render("x", 1), "(image<image>)(text)");
}

TEST(PromptTemplate, RefusesATemplateThatCannotServeWhenItIsLoaded) {
  const auto refuse = [](const std::string& text, StatusCode code, std::initializer_list<std::string> texts) {
    TestFolder folder;
    Write(folder / "chat_template.jinja", text);
    ExpectError(PromptTemplate::Load(folder.path(), kFamily, "<image>").status(), code, texts);
  };
  refuse("{{ messages[0].content }}", StatusCode::kInvalidArgument, {"texts only"});
  refuse("{% for c in messages[0].content %}{% endfor %}", StatusCode::kInvalidArgument,
         {"\"<image>\" 0 times"});
  refuse("{% for c in messages[0].content %}<image>{% endfor %}", StatusCode::kInvalidArgument, {"2 times"});
  refuse("{{ raise_exception('no') }}{% for c in content %}{% endfor %}", StatusCode::kInvalidArgument,
         {"refuses", "no"});
  refuse("{{ x | md5 }}", StatusCode::kUnimplemented, {"chat_template.jinja", "md5"});
}

}  // namespace
}  // namespace rein::models
