#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "../../../csrc/kernels/half.h"

namespace hwrt {
namespace {

// The number that the bits of a float16 stand for, by the format's definition.
double number_of(std::uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double sign = half >> 15 != 0 ? -1.0 : 1.0;
  if (exponent == 31) return fraction != 0 ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST_CASE("every float16 is found again") {
  for (int i = 0; i < 65536; ++i) {
    const auto half = static_cast<std::uint16_t>(i);
    const double number = number_of(half);
    if (std::isnan(number)) continue;
    REQUIRE(half_from_float(static_cast<float>(number)) == half);
  }
}

TEST_CASE("a number between two is rounded to the nearer, a half to the even one") {
  for (int i = 0; i < 0x7bff; ++i) {
    const double below = number_of(static_cast<std::uint16_t>(i)),
                 above = number_of(static_cast<std::uint16_t>(i + 1));
    const float middle = static_cast<float>((below + above) / 2);
    REQUIRE(half_from_float(middle) == i + i % 2);
    REQUIRE(half_from_float(std::nextafter(middle, 0.0f)) == i);
    REQUIRE(half_from_float(std::nextafter(middle, HUGE_VALF)) == i + 1);
    REQUIRE(half_from_float(-middle) == (0x8000 | (i + i % 2)));
  }
}

TEST_CASE("what is too large is infinite, and a NaN stays one") {
  CHECK(half_from_float(65519.99f) == 0x7bff);
  CHECK(half_from_float(65520.0f) == 0x7c00);
  CHECK(half_from_float(3e38f) == 0x7c00);
  CHECK(half_from_float(-HUGE_VALF) == 0xfc00);
  CHECK(std::isnan(number_of(half_from_float(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace hwrt
