// The ladder of instruction sets that kernels are written for, and which rung is in use.
//
//   x86-64:  scalar < sse4 < avx2 < avx512        aarch64:  scalar < neon        others:  scalar
//
// A CPU that has one rung has all below it, so one number says what may run.  All functions may be
// called from any thread.
#ifndef HWRT_CSRC_KERNELS_TARGET_H_
#define HWRT_CSRC_KERNELS_TARGET_H_

#if defined(__GNUC__) && defined(__x86_64__)
#define HWRT_X86 1
#elif defined(__GNUC__) && defined(__aarch64__)
#define HWRT_ARM 1
#endif

namespace hwrt {

enum class Target : int {
  kScalar,
#if defined(HWRT_X86)
  kSse4,    // SSE4.1
  kAvx2,    // AVX2, FMA and F16C
  kAvx512,  // a name only: no kernel has a variant that earns its place, so it is not detected
#elif defined(HWRT_ARM)
  kNeon,
#endif
  kCount,  // not a target: how many there are
};

inline constexpr int kTargetCount = static_cast<int>(Target::kCount);

// The name that HWRT_MAX_TARGET takes.
const char* target_name(Target target) noexcept;

// True and the target where this architecture has one of that name; else false.
bool parse_target(const char* name, Target* target) noexcept;

// The highest target that this CPU and its system can run, or HWRT_MAX_TARGET where that is lower.
// Found once per process: asking the CPU again costs microseconds in a virtual machine.
Target best_target() noexcept;

// The value of HWRT_MAX_TARGET where it names no target of this architecture, else null.
const char* unknown_max_target() noexcept;

// The target that kernels use: best_target(), or the limit where that is lower.
Target current_target() noexcept;

// Kernels use no higher target from here on, in every thread.
void limit_target(Target limit) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_TARGET_H_
