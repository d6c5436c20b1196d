#include "models/chat_template/chat_template.h"

#include "absl/strings/match.h"
#include "base/hash.h"
#include "models/chat_template/template_file.h"
#include "models/json.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

const RenderOptions kOptions = {
    .special_tokens = {
        {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"pad_token", "<pad>"}, {"unk_token", "<unk>"}}};

ChatTemplate ParseOrDie(const std::string& text) {
  absl::StatusOr<ChatTemplate> parsed = ChatTemplate::Parse(text, "t.jinja");
  EXPECT_TRUE(parsed.ok()) << parsed.status() << "\n" << text;
  return parsed.ok() ? *std::move(parsed) : ChatTemplate();
}

absl::StatusOr<std::string> Render(const std::string& text, const std::vector<Message>& messages = {}) {
  const absl::StatusOr<ChatTemplate> parsed = ChatTemplate::Parse(text, "t.jinja");
  return parsed.ok() ? parsed->Render(messages, kOptions) : parsed.status();
}

std::vector<Message> ToMessages(const Json& conversation) {
  std::vector<Message> messages;
  for (const Json& item : conversation) {
    Message message{item["role"], {}};
    for (const Json& part : item["content"])
      message.content.push_back(part.is_null() ? ContentPart::Image() : ContentPart::Text(part));
    messages.push_back(std::move(message));
  }
  return messages;
}

TEST(ChatTemplate, RendersAsTransformersDoes) {
  const Json json = Json::parse(*ReadFile(Fixture("templates") / "cases.json"));
  std::map<std::string, ChatTemplate> templates;
  int equal = 0, refused = 0;
  for (const Json& test : json["cases"]) {
    const std::string name = test["template"];
    if (!templates.contains(name))
      templates[name] = ParseOrDie(*ReadFile(Fixture("templates") / "texts" / (name + ".jinja")));
    RenderOptions options = kOptions;
    options.add_generation_prompt = test["add_generation_prompt"];
    const auto text = templates[name].Render(
        ToMessages(json["conversations"][test["conversation"].get<std::string>()]), options);
    if (test["text"].is_null()) {
      EXPECT_EQ(text.status().code(), StatusCode::kInvalidArgument) << test;
      ++refused;
      continue;
    }
    ASSERT_TRUE(text.ok()) << text.status() << "\n" << test;
    EXPECT_EQ(*text, test["text"].get<std::string>()) << name << ": " << test["conversation"];
    ++equal;
  }
  EXPECT_GT(equal, 400);
  EXPECT_GT(refused, 5);
}

TEST(ChatTemplate, KnowsWhetherContentIsAListOfParts) {
  EXPECT_TRUE(ParseOrDie("{% for m in messages %}{% for c in m['content'] | list %}{% endfor %}{% endfor %}")
                  .takes_parts());
  EXPECT_TRUE(ParseOrDie("{% for m in messages %}{% set x = m.content %}{% if x %}{% for c in x %}{% endfor "
                         "%}{% endif %}{% endfor %}")
                  .takes_parts());
  EXPECT_FALSE(ParseOrDie("{% for m in messages %}{{ m.content }}{% endfor %}").takes_parts());
  EXPECT_FALSE(
      ParseOrDie("{% for m in messages %}{% for line in m.content.split('a') %}{% endfor %}{% endfor %}")
          .takes_parts());
}

TEST(ChatTemplate, RefusesPicturesForATemplateOfTexts) {
  ExpectError(Render("{{ messages[0].content }}", {{"user", {ContentPart::Image()}}}).status(),
              StatusCode::kInvalidArgument, {"t.jinja", "texts only"});
}

TEST(ChatTemplate, WritesTheDate) {
  RenderOptions options;
  options.now = absl::FromUnixSeconds(1'700'000'000);  // 14 November 2023 or a day later, as the zone is
  const ChatTemplate dated =
      ParseOrDie("{% if strftime_now is defined %}{{ strftime_now('%b %Y') }}{% endif %}");
  EXPECT_EQ(*dated.Render({}, options), "Nov 2023");
}

struct BadTemplate {
  std::string text;
  StatusCode code;
  std::string named;  // in the error
};

class BadTemplates : public testing::TestWithParam<BadTemplate> {};

TEST_P(BadTemplates, AreRefusedByName) {
  ExpectError(ChatTemplate::Parse(GetParam().text, "t.jinja").status(), GetParam().code,
              {"t.jinja: line ", GetParam().named});
}

INSTANTIATE_TEST_SUITE_P(
    ChatTemplate, BadTemplates,
    testing::Values(
        BadTemplate{"{% include 'x' %}", StatusCode::kUnimplemented, "\"include\""},
        BadTemplate{"{% import 'os' as os %}", StatusCode::kUnimplemented, "\"import\""},
        BadTemplate{"{% raw %}{% endraw %}", StatusCode::kUnimplemented, "\"raw\""},
        BadTemplate{"{% call f() %}{% endcall %}", StatusCode::kUnimplemented, "\"call\""},
        BadTemplate{"{{ x | md5 }}", StatusCode::kUnimplemented, "\"md5\""},
        BadTemplate{"{{ x | map('md5') }}", StatusCode::kUnimplemented, "\"md5\""},
        BadTemplate{"{{ x | map(y) }}", StatusCode::kUnimplemented, "computed name"},
        BadTemplate{"{{ x | selectattr('a', 'callable') }}", StatusCode::kUnimplemented, "\"callable\""},
        BadTemplate{"{{ x is prime }}", StatusCode::kUnimplemented, "\"prime\""},
        BadTemplate{"{{ x.encode() }}", StatusCode::kUnimplemented, "\"encode\""},
        BadTemplate{"{{ x.__class__ }}", StatusCode::kUnimplemented, "\"__class__\""},
        BadTemplate{"{{ open('x') }}", StatusCode::kUnimplemented, "\"open\""},
        BadTemplate{"{{ x['f']() }}", StatusCode::kUnimplemented, "computed value"},
        BadTemplate{"{{ f(*x) }}", StatusCode::kUnimplemented, "*"},
        BadTemplate{"{{ x | tojson(separators=y) }}", StatusCode::kUnimplemented, "\"separators\""},
        BadTemplate{"{{ x | trim('a', 'b') }}", StatusCode::kInvalidArgument, "at most 1"},
        BadTemplate{"{{ x | replace('a') }}", StatusCode::kInvalidArgument, "old, new"},
        BadTemplate{"{{ 1.5 }}", StatusCode::kUnimplemented, "number"},
        BadTemplate{"{{ 1 / 2 }}", StatusCode::kUnimplemented, "\"/\""},
        BadTemplate{"{{ 2 ** 9 }}", StatusCode::kUnimplemented, "\"**\""},
        BadTemplate{"{{ 99999999999999999999 }}", StatusCode::kInvalidArgument, "too large"},
        BadTemplate{"{% for x in y recursive %}{% endfor %}", StatusCode::kUnimplemented, "recursive"},
        BadTemplate{"{% for x in y %}{{ loop.cycle('a') }}{% endfor %}", StatusCode::kUnimplemented,
                    "loop.cycle"},
        BadTemplate{"{% for x in y %}{% macro f() %}{% endmacro %}{% endfor %}", StatusCode::kUnimplemented,
                    "macro"},
        BadTemplate{"{% macro f() %}{{ caller() }}{% endmacro %}", StatusCode::kUnimplemented, "\"caller\""},
        BadTemplate{"\n\n{{ x", StatusCode::kInvalidArgument, "3"},
        BadTemplate{"{% if x %}", StatusCode::kInvalidArgument, "endif"},
        BadTemplate{"{% endif %}", StatusCode::kInvalidArgument, "endif"},
        BadTemplate{"{% break %}", StatusCode::kInvalidArgument, "outside a loop"},
        BadTemplate{"{# x", StatusCode::kInvalidArgument, "comment"},
        BadTemplate{"{{ 'x }}", StatusCode::kInvalidArgument, "string"},
        BadTemplate{"{{ '\\ud800' }}", StatusCode::kInvalidArgument, "\\u"},
        BadTemplate{"{{ a b }}", StatusCode::kInvalidArgument, "\"b\""},
        BadTemplate{"{{ }}", StatusCode::kInvalidArgument, "expression"},
        BadTemplate{"{{ (1] }}", StatusCode::kInvalidArgument, "\"]\""},
        BadTemplate{"{{ x[] }}", StatusCode::kInvalidArgument, "empty"},
        BadTemplate{"{{ x[1:2:3:4] }}", StatusCode::kInvalidArgument, "]"},
        BadTemplate{"{{ a ? b }}", StatusCode::kInvalidArgument, "\"?\""},
        BadTemplate{"{% set %}", StatusCode::kInvalidArgument, "a name"}));

class BadRenderings : public testing::TestWithParam<BadTemplate> {};

TEST_P(BadRenderings, AreErrorsThatSayWhere) {
  ExpectError(Render(GetParam().text, {{"user", {ContentPart::Text("x")}}}).status(), GetParam().code,
              {"t.jinja: line 1: ", GetParam().named});
}

INSTANTIATE_TEST_SUITE_P(
    ChatTemplate, BadRenderings,
    testing::Values(
        BadTemplate{"{{ raise_exception('no ' ~ 'way') }}", StatusCode::kInvalidArgument, "no way"},
        BadTemplate{"{{ a.b }}", StatusCode::kInvalidArgument, "\"a\" is undefined"},
        BadTemplate{"{{ messages[0].content.x.y }}", StatusCode::kInvalidArgument, "\"x\" is undefined"},
        BadTemplate{"{{ 'a' + 1 }}", StatusCode::kInvalidArgument, "a string and an integer"},
        BadTemplate{"{{ missing + 'a' }}", StatusCode::kInvalidArgument, "undefined (missing)"},
        BadTemplate{"{{ 'a' * 1000000000 }}", StatusCode::kInvalidArgument, "a string"},
        BadTemplate{"{{ 1 < 'a' }}", StatusCode::kInvalidArgument, "no order"},
        BadTemplate{"{{ 1 % 0 }}", StatusCode::kInvalidArgument, "division by 0"},
        BadTemplate{"{{ 9223372036854775807 + 1 }}", StatusCode::kInvalidArgument, "64 bits"},
        BadTemplate{"{{ [1] | tojson(indent=-1) }}", StatusCode::kInvalidArgument, "indent"},
        BadTemplate{"{{ [missing] | tojson }}", StatusCode::kInvalidArgument, "JSON"},
        BadTemplate{"{{ none.strip() }}", StatusCode::kInvalidArgument, "no method .strip()"},
        BadTemplate{"{{ messages[0].items }}", StatusCode::kInvalidArgument, "method"},
        BadTemplate{"{% for a, b in [1] %}{% endfor %}", StatusCode::kInvalidArgument, "no elements"},
        BadTemplate{"{% for a, b in [[1]] %}{% endfor %}", StatusCode::kInvalidArgument,
                    "1 values for 2 names"},
        BadTemplate{"{% for a in 5 %}{% endfor %}", StatusCode::kInvalidArgument, "no elements"},
        BadTemplate{"{% set messages.x = 1 %}", StatusCode::kInvalidArgument, "namespace"},
        BadTemplate{"{% set n = namespace() %}{% set n.x = [n] %}", StatusCode::kInvalidArgument,
                    "namespace"},
        BadTemplate{"{{ 'abc'[::0] }}", StatusCode::kInvalidArgument, "step"},
        BadTemplate{"{{ f() }}{% macro f() %}{% endmacro %}", StatusCode::kInvalidArgument,
                    "not defined yet"},
        BadTemplate{"{% macro f(a) %}{% endmacro %}{{ f(b=1) }}", StatusCode::kInvalidArgument, "\"b\""}));

// What would run for ever, or fill the memory or the stack.
class Bombs : public testing::TestWithParam<std::string> {};

TEST_P(Bombs, AreStopped) {
  ExpectError(Render(GetParam(), {{"user", {ContentPart::Text("x")}}}).status(),
              StatusCode::kResourceExhausted, {"t.jinja"});
}

std::string Repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

INSTANTIATE_TEST_SUITE_P(
    ChatTemplate, Bombs,
    testing::Values(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ range(1000000000000) }}",
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x "
        "}}",
        "{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}",
        "{% for a in range(99999) %}" + std::string(4000, 'x') + "{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set x = 'a' %}" + Repeat("{% set x = x.replace('a', 'aaaaaaaa') %}", 20),
        "{{ " + Repeat("(", 5000) + "1" + Repeat(")", 5000) + " }}", "{{ " + Repeat("not ", 5000) + "1 }}",
        "{{ 1" + Repeat(" + 1", 5000) + " }}", "{{ x" + Repeat("[0]", 5000) + " }}",
        "{{ " + Repeat("-", 5000) + "1 }}", "{{ 1" + Repeat(" | string", 5000) + " }}",
        "{{ 1" + Repeat(" if 1", 5000) + " }}", Repeat("{% if 1 %}", 5000) + Repeat("{% endif %}", 5000),
        std::string(300'000, 'x')));

TEST(ChatTemplate, CutOffOrChangedTemplatesNeverCrash) {
  CounterRandom random(5);
  for (const char* name : {"constructs_parts", "llama_3_2_vision", "mistral_instruct"}) {
    const std::string text = *ReadFile(Fixture("templates") / "texts" / (std::string(name) + ".jinja"));
    for (int i = 0; i < 500; ++i) {
      std::string changed = text.substr(0, random.Below(text.size() + 1));
      for (int k = 0; k < 3 && !changed.empty() && i % 2 == 0; ++k)
        changed[random.Below(changed.size())] = text[random.Below(text.size())];
      const auto rendered = Render(changed, {{"user", {ContentPart::Image(), ContentPart::Text("x")}}});
      EXPECT_NE(rendered.ok(), absl::StartsWith(rendered.status().message(), "t.jinja"));
    }
  }
}

TEST(ReadChatTemplate, TakesTheFirstFileThatHasOne) {
  TestFolder folder;
  const auto render = [&]() -> std::string {
    const auto found = ReadChatTemplate(folder.path());
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() && *found ? *(*found)->Render({}, kOptions) : "none";
  };
  EXPECT_EQ(render(), "none");
  Write(folder / "tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"},
                                              {"name": "default", "template": "list{{ bos_token }}"}]})");
  EXPECT_EQ(render(), "list<s>");
  Write(folder / "chat_template.jinja", "jinja\n");
  EXPECT_EQ(render(), "jinja");
  Write(folder / "chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(render(), "json");
  Write(folder / "processor_config.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(render(), "processor");
}

TEST(ReadChatTemplate, NamesTheFileThatIsBroken) {
  TestFolder folder;
  Write(folder / "tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"}]})");
  ExpectError(ReadChatTemplate(folder.path()).status(), StatusCode::kInvalidArgument,
              {"tokenizer_config.json", "default", "rag"});
  Write(folder / "chat_template.jinja", "a\n{% endif %}");
  ExpectError(ReadChatTemplate(folder.path()).status(), StatusCode::kInvalidArgument,
              {"chat_template.jinja: line 2", "endif"});
  Write(folder / "chat_template.json", R"({"chat_template": 3})");
  ExpectError(ReadChatTemplate(folder.path()).status(), StatusCode::kInvalidArgument, {"chat_template.json"});
}

TEST(ReadSpecialTokens, ReadsTextsAndObjects) {
  TestFolder folder;
  Write(folder / "special_tokens_map.json", R"({"bos_token": "<a>", "eos_token": {"content": "<e>"}})");
  Write(folder / "tokenizer_config.json",
        R"({"bos_token": "<b>", "pad_token": null, "add_bos_token": true})");
  const auto tokens = ReadSpecialTokens(folder.path());
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(*tokens,
            (std::vector<std::pair<std::string, std::string>>{{"bos_token", "<b>"}, {"eos_token", "<e>"}}));
}

}  // namespace
}  // namespace rein::models
