#include "target.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>
#endif

namespace hwrt {
namespace {

constexpr const char* kNames[kTargetCount] = {
    "scalar",
#if defined(HWRT_X86)
    "sse4",
    "avx2",
    "avx512",
#elif defined(HWRT_ARM)
    "neon",
#endif
};

std::atomic<int> limit{kTargetCount - 1};

Target lower(Target a, Target b) noexcept { return a < b ? a : b; }

#if defined(HWRT_X86)
// F16C, which __builtin_cpu_supports knows from GCC 11 on.  Its registers are AVX's.
bool has_half_conversion() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

// __builtin_cpu_supports also asks the system (XGETBV) whether it keeps the wide registers.
Target detect() noexcept {
#if defined(HWRT_X86)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse4.1")) return Target::kScalar;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Target::kSse4;
  if (!has_half_conversion()) return Target::kSse4;
  return Target::kAvx2;
#elif defined(HWRT_ARM)
  return Target::kNeon;  // part of every aarch64
#else
  return Target::kScalar;
#endif
}

struct Environment {
  Target max = static_cast<Target>(kTargetCount - 1);
  char unknown[64] = "";  // a copy: the next setenv may free what getenv returned

  Environment() noexcept {
    const char* value = std::getenv("HWRT_MAX_TARGET");
    if (value == nullptr || *value == '\0' || parse_target(value, &max)) return;
    std::strncpy(unknown, value, sizeof unknown - 1);
  }
};

const Environment& environment() noexcept {
  static const Environment once;
  return once;
}

}  // namespace

const char* target_name(Target target) noexcept { return kNames[static_cast<int>(target)]; }

bool parse_target(const char* name, Target* target) noexcept {
  for (int i = 0; i < kTargetCount; ++i) {
    if (std::strcmp(name, kNames[i]) != 0) continue;
    *target = static_cast<Target>(i);
    return true;
  }
  return false;
}

Target best_target() noexcept {
  static const Target once = lower(detect(), environment().max);
  return once;
}

const char* unknown_max_target() noexcept {
  const char* unknown = environment().unknown;
  return *unknown == '\0' ? nullptr : unknown;
}

Target current_target() noexcept {
  return lower(best_target(), static_cast<Target>(limit.load(std::memory_order_relaxed)));
}

void limit_target(Target target) noexcept {
  limit.store(static_cast<int>(target), std::memory_order_relaxed);
}

}  // namespace hwrt
