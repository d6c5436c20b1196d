// rein-reference DESCRIPTORS: prints docs/reference/job-file.md.
#include <cstdio>

#include "base/file.h"
#include "transport/reference.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: rein-reference DESCRIPTORS\n");
    return 2;
  }
  const auto descriptors = rein::ReadFile(argv[1]);
  const auto page = descriptors.ok() ? rein::transport::JobFilePage(*descriptors) : descriptors.status();
  if (!page.ok()) {
    std::fprintf(stderr, "%s\n", page.status().ToString().c_str());
    return 1;
  }
  std::fputs(page->c_str(), stdout);
  return 0;
}
