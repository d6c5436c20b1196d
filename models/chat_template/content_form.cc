#include "models/chat_template/content_form.h"

#include <algorithm>
#include <set>
#include <string>

namespace rein::models::jinja {
namespace {

class ContentFinder {
 public:
  bool Find(const std::vector<Statement>& body) {
    return std::any_of(body.begin(), body.end(),
                       [&](const Statement& statement) { return FindIn(statement); });
  }

 private:
  bool FindIn(const Statement& statement) {
    if (statement.kind == Statement::Kind::kFor && IsContent(*statement.value)) return true;
    if (statement.kind == Statement::Kind::kSet && statement.targets.size() == 1 && statement.text.empty() &&
        IsContent(*statement.value)) {
      names_.insert(statement.targets.front());
    }
    return Find(statement.body) || Find(statement.otherwise) ||
           std::any_of(statement.branches.begin(), statement.branches.end(),
                       [&](const Statement::Branch& branch) { return Find(branch.body); });
  }

  // Content itself, or part of it; what a method makes of it is no content.
  bool IsContent(const Expression& node) const {
    using Kind = Expression::Kind;
    switch (node.kind) {
      case Kind::kName:
        return names_.count(node.name) > 0;
      case Kind::kAttribute:
        return node.name == "content";
      case Kind::kItem:
        return node.children[1]->kind == Kind::kConstant && ToText(node.children[1]->constant) == "content";
      case Kind::kFilter:
      case Kind::kSlice:
        return IsContent(*node.children[0]);
      default:
        return false;
    }
  }

  std::set<std::string> names_ = {"content"};
};

}  // namespace

bool LoopsOverContent(const std::vector<Statement>& body) { return ContentFinder().Find(body); }

}  // namespace rein::models::jinja
