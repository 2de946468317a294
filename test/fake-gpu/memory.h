// The stand-in GPUs' memory: the host's, under addresses that no host code can read.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>

constexpr int kDevices = 2;

// No address of a process has a bit from 47 on; an access to one that has ends the process.
constexpr uint64_t kDeviceBit = 1ull << 60;
constexpr int kOrdinalShift = 52;
constexpr uint64_t kHostBits = (1ull << kOrdinalShift) - 1;

inline uint64_t bitsOf(const void* address) { return reinterpret_cast<uint64_t>(address); }

inline bool isOnDevice(const void* address) { return (bitsOf(address) & kDeviceBit) != 0; }

/** Which GPU's memory an address on one is in. */
inline int ordinalOf(const void* address) { return static_cast<int>((bitsOf(address) & ~kDeviceBit) >> kOrdinalShift); }

/** The address that TensorFlow gets to see. */
inline void* onDevice(void* memory, int ordinal) {
  return reinterpret_cast<void*>(bitsOf(memory) | kDeviceBit | (static_cast<uint64_t>(ordinal) << kOrdinalShift));
}

/** The memory behind an address of either kind, for the stand-ins themselves. */
inline void* memoryAt(const void* address) { return reinterpret_cast<void*>(bitsOf(address) & kHostBits); }

/** Ends the process: what was done would have crashed a GPU, or read other bytes than it meant. */
[[noreturn]] inline void refuse(const char* what, const void* from, const void* to) {
  std::fprintf(stderr, "fake GPU: %s from %p to %p\n", what, from, to);
  std::abort();
}
