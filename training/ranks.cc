#include "training/ranks.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "training/guard.h"
#include "training/pairs.h"
#include "training/sequence_forward.h"

namespace rein::training {
namespace {

using nlohmann::json;

// Gradients that are added up at a time. One that is larger is alone.
constexpr int64_t kBucketElements = 16 << 20;

// As text that any message fits into, UTF-8 or not.
std::string Pack(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

absl::StatusOr<json> Unpack(const std::string& text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return absl::InternalError("a rank sent what is no message of this program");
  return value;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Ranks::Gather(const std::string& mine) {
  if (!group_) return std::vector<std::string>{mine};
  return group_->GatherBytes(mine);
}

absl::Status Ranks::Agree(const absl::Status& mine) {
  if (!group_) return mine;
  const json message = {{"code", mine.raw_code()}, {"message", std::string(mine.message())}};
  REIN_ASSIGN_OR_RETURN(const std::vector<std::string> all, Gather(mine.ok() ? "" : Pack(message)));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].empty()) continue;
    REIN_ASSIGN_OR_RETURN(const json failed, Unpack(all[rank]));
    return absl::Status(static_cast<absl::StatusCode>(failed.value("code", 2)),
                        absl::StrCat("rank ", rank, " of ", world(), ": ", failed.value("message", "")));
  }
  return absl::OkStatus();
}

absl::Status Ranks::OnFirst(const std::function<absl::Status()>& work) {
  return Agree(is_first() ? Guarded(work) : absl::OkStatus());
}

absl::StatusOr<Metrics> Ranks::Sum(const Metrics& mine) {
  if (!group_) return mine;
  REIN_ASSIGN_OR_RETURN(const std::vector<std::string> all, Gather(Pack(json(mine))));
  Metrics sums;
  for (const std::string& text : all) {
    REIN_ASSIGN_OR_RETURN(const json metrics, Unpack(text));
    for (const auto& [name, value] : metrics.items()) {
      // JSON has no word for what is not finite.
      sums[name] += value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
    }
  }
  return sums;
}

absl::Status Ranks::SumGradients(const models::NamedTensors& parameters) {
  if (!group_) return absl::OkStatus();
  const c10::NoGradGuard no_grad;
  std::vector<float> has;
  for (const auto& [name, parameter] : parameters) has.push_back(parameter.grad().defined() ? 1.0f : 0.0f);
  const at::Tensor ranks_with = ToTensor(has, group_->device());
  REIN_RETURN_IF_ERROR(group_->Sum(ranks_with));
  const std::vector<float> counts = ToVector(ranks_with);
  std::vector<at::Tensor> bucket;
  int64_t elements = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (counts[i] == 0) continue;
    const at::Tensor& parameter = parameters[i].second;
    if (!bucket.empty() && elements + parameter.numel() > kBucketElements) {
      REIN_RETURN_IF_ERROR(SumBucket(bucket));
      bucket.clear();
      elements = 0;
    }
    bucket.push_back(parameter);
    elements += parameter.numel();
  }
  return bucket.empty() ? absl::OkStatus() : SumBucket(bucket);
}

// The sums become the gradients without another copy: they are views of the bucket.
absl::Status Ranks::SumBucket(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> flat;
  std::vector<int64_t> sizes;
  for (const at::Tensor& parameter : parameters) {
    const at::Tensor& gradient = parameter.grad();
    flat.push_back(gradient.defined() ? gradient.reshape({-1})
                                      : at::zeros({parameter.numel()}, parameter.options()));
    sizes.push_back(parameter.numel());
  }
  const at::Tensor bucket = at::cat(flat).to(group_->device());
  flat.clear();
  REIN_RETURN_IF_ERROR(group_->Sum(bucket));
  const std::vector<at::Tensor> sums = bucket.to(parameters[0].device()).split_with_sizes(sizes);
  for (size_t i = 0; i < parameters.size(); ++i)
    parameters[i].mutable_grad() = sums[i].view(parameters[i].sizes());
  return absl::OkStatus();
}

}  // namespace rein::training
