// Typed values of one record, whatever a writer has chosen for them, and the first reason why its row is
// dropped. For data/ and evaluation/ only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/read_options.h"
#include "nlohmann/json.hpp"

namespace rein::data {

// Text or bytes; nullopt: another type.
std::optional<std::string> TextOf(const nlohmann::json& value);
// A whole number, or text that spells one.
std::optional<int64_t> IntOf(const nlohmann::json& value);
// Boolean, 0 or 1, or "yes", "no", "true", "false" in any case.
std::optional<bool> YesNoOf(const nlohmann::json& value);

// Columns are asked for by their canonical names. A value that is there but wrong drops the row.
class Fields {
 public:
  // Both outlive the fields.
  Fields(const nlohmann::json& record, const ColumnNames& columns) : record_(record), columns_(columns) {}

  void Drop(const std::string& reason) {
    if (reason_.empty()) reason_ = reason;
  }
  const std::string& reason() const { return reason_; }

  // Null where the column is absent or null.
  const nlohmann::json* Find(const std::string& name) const;
  // Drops the row with "no `what`" where there is none.
  std::string Text(const std::string& name, const std::string& what);
  std::optional<std::string> OptionalText(const std::string& name);
  std::optional<int> Int(const std::string& name, int low, int high, const std::string& reason);
  std::optional<bool> YesNo(const std::string& name, const std::string& reason);

 private:
  const nlohmann::json& record_;
  const ColumnNames& columns_;
  std::string reason_;
};

}  // namespace rein::data
