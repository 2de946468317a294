#include "report.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "memory.h"

namespace {

struct Report {
  std::mutex mutex;
  std::map<uint64_t, uint64_t> copies[kDirections];  // how many, by their bytes
  std::map<std::string, uint64_t> ops[kDevices];
};

Report& report() {
  static Report* only = new Report;  // never freed: threads may outlive what is
  return *only;
}

template <typename Key>
void writeCounts(std::FILE* file, const char* name, const std::map<Key, uint64_t>& counts, const char* end) {
  std::fprintf(file, "  \"%s\": {", name);
  const char* separator = "";
  for (const auto& [key, count] : counts) {
    if constexpr (std::is_same_v<Key, std::string>) {
      std::fprintf(file, "%s\"%s\": %lu", separator, key.c_str(), count);
    } else {
      std::fprintf(file, "%s\"%lu\": %lu", separator, key, count);
    }
    separator = ", ";
  }
  std::fprintf(file, "}%s\n", end);
}

/** As JSON, when the process ends, into the file that FAKE_GPU_REPORT names. */
void writeReport() {
  std::FILE* file = std::fopen(std::getenv("FAKE_GPU_REPORT"), "w");
  if (!file) return;
  std::lock_guard<std::mutex> lock(report().mutex);
  std::fprintf(file, "{\n");
  const char* directions[kDirections] = {"toDevice", "toHost", "amongDevices"};
  for (int i = 0; i < kDirections; i++) writeCounts(file, directions[i], report().copies[i], ",");
  for (int i = 0; i < kDevices; i++) {
    writeCounts(file, ("GPU:" + std::to_string(i)).c_str(), report().ops[i], i + 1 < kDevices ? "," : "");
  }
  std::fprintf(file, "}\n");
  std::fclose(file);
}

const bool isWanted = [] {
  const bool wanted = std::getenv("FAKE_GPU_REPORT") != nullptr;
  if (wanted) std::atexit(writeReport);
  return wanted;
}();

}  // namespace

void noteCopy(Direction direction, uint64_t bytes) {
  if (!isWanted) return;
  std::lock_guard<std::mutex> lock(report().mutex);
  report().copies[direction][bytes]++;
}

void noteOp(int ordinal, const char* op) {
  if (!isWanted) return;
  std::lock_guard<std::mutex> lock(report().mutex);
  report().ops[ordinal][op]++;
}
