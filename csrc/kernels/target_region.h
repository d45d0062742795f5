// HWRT_TARGET_BEGIN(target) ... HWRT_TARGET_END: code compiled for one target inside a .cpp that is
// compiled for the architecture's baseline.
//
// A flag such as -mavx2 would hold for the whole file, and the linker could then give AVX code of
// an inline std:: function to callers on a CPU without AVX.  Hence the rules: every header before
// the first region (this one brings the intrinsics), no std:: inside, and everything inside in a
// namespace named for the target, within an unnamed one.
#ifndef HWRT_CSRC_KERNELS_TARGET_REGION_H_
#define HWRT_CSRC_KERNELS_TARGET_REGION_H_

#include <cstdint>
#include <cstring>

#include "half.h"
#include "target.h"

#if defined(HWRT_X86)
#include <immintrin.h>
#elif defined(HWRT_ARM)
#include <arm_neon.h>
#endif

#define HWRT_FEATURES_sse4 "sse4.1"
#define HWRT_FEATURES_avx2 "avx2,fma,f16c"

#define HWRT_PRAGMA(text) _Pragma(#text)

#if defined(HWRT_ARM)  // NEON is in the baseline
#define HWRT_TARGET_BEGIN(target)
#define HWRT_TARGET_END
#elif defined(__clang__)
#define HWRT_TARGET_PUSH(features) \
  HWRT_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define HWRT_TARGET_BEGIN(target) HWRT_TARGET_PUSH(HWRT_FEATURES_##target)
#define HWRT_TARGET_END HWRT_PRAGMA(clang attribute pop)
#elif defined(__GNUC__)
#define HWRT_TARGET_PUSH(features) HWRT_PRAGMA(GCC push_options) HWRT_PRAGMA(GCC target(features))
#define HWRT_TARGET_BEGIN(target) HWRT_TARGET_PUSH(HWRT_FEATURES_##target)
#define HWRT_TARGET_END HWRT_PRAGMA(GCC pop_options)
#endif

#if defined(__GNUC__)
#define HWRT_INLINE inline __attribute__((always_inline))
#else
#define HWRT_INLINE inline
#endif

#endif  // HWRT_CSRC_KERNELS_TARGET_REGION_H_
