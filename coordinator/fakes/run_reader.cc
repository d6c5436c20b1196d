#include "coordinator/fakes/run_reader.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace rein::coordinator::fakes {

std::string RunReader::Text(const std::string& name) const {
  std::ifstream file(run_dir_ / name, std::ios::binary);
  if (!file) throw std::runtime_error("no file " + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<nlohmann::json> RunReader::Lines(const std::string& name) const {
  std::istringstream text(Text(name));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::vector<int64_t> RunReader::MetricSteps() const {
  std::vector<int64_t> steps;
  for (const nlohmann::json& line : Lines("metrics.jsonl")) steps.push_back(line["step"]);
  return steps;
}

std::vector<nlohmann::json> RunReader::Path() const {
  std::vector<nlohmann::json> path;
  for (const nlohmann::json& line : Lines("metrics.jsonl")) {
    path.push_back({line["step"], line["samples"], line["reward_mean"], line["kl"],
                    line["constraints"]["cost"]["lambda"], line["policy"]["loss"],
                    line["critics"]["cost"]["loss"]});
  }
  return path;
}

std::vector<std::string> RunReader::SampleIds() const {
  std::vector<std::string> ids;
  for (const nlohmann::json& line : Lines("samples.jsonl")) ids.push_back(line["sample_id"]);
  return ids;
}

}  // namespace rein::coordinator::fakes
