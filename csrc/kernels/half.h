// float16 numbers.
#ifndef HWRT_CSRC_KERNELS_HALF_H_
#define HWRT_CSRC_KERNELS_HALF_H_

#include <cstdint>
#include <cstring>

namespace hwrt {

// The bits of the float16 nearest to the number, the even one of two; what is too large becomes
// infinite.  As in F. Giesen's float_to_half_fast3_rtne (public domain,
// https://gist.github.com/rygorous/2156668).
inline std::uint16_t half_from_float(float number) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  const std::uint32_t sign = bits & 0x80000000u;
  bits ^= sign;
  std::uint32_t half;
  if (bits >= 0x47800000u) {  // 2**16 and more
    half = bits > 0x7f800000u ? 0x7e00u : 0x7c00u;
  } else if (bits < 0x38800000u) {  // below 2**-14: adding 0.5 brings the bits to their place
    float shifted;
    std::memcpy(&shifted, &bits, sizeof shifted);
    shifted += 0.5f;
    std::memcpy(&half, &shifted, sizeof half);
    half -= 0x3f000000u;
  } else {
    const std::uint32_t odd = (bits >> 13) & 1u;
    half = (bits - (112u << 23) + 0xfffu + odd) >> 13;
  }
  return static_cast<std::uint16_t>(half | (sign >> 16));
}

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_HALF_H_
