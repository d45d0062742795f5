#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "../../../csrc/kernels/quantize.h"
#include "random.h"

namespace hwrt {
namespace {

std::vector<float> numbers(std::size_t count, float scale) {
  constexpr float kOdd[] = {std::numeric_limits<float>::quiet_NaN(), HUGE_VALF, -HUGE_VALF, -0.0f,
                            3e38f};
  Random random(count);
  auto made = random.floats(static_cast<std::ptrdiff_t>(count), -70000.0f, 70000.0f);
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 3 == 1) made[i] = std::floor(made[i] / 256) + 0.5f;  // a half
    made[i] *= scale;
    if (i % 7 == 3) made[i] = kOdd[i % 5];
  }
  return made;
}

template <typename T>
T quantized(float x, QuantizationStep step) {
  const double ratio = static_cast<double>(x / step.scale);  // divided in float32
  if (std::isnan(ratio)) return static_cast<T>(step.zero_point);
  const double level = std::nearbyint(ratio) + static_cast<double>(step.zero_point);
  const double low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  return static_cast<T>(std::fmin(std::fmax(level, low), high));
}

template <typename T>
void check(Integer integer) {
  for (const float scale : {1.0f, 0.0117f, 3.7f, 1e-30f}) {
    for (std::size_t count = 0; count < 70; ++count) {
      const QuantizationStep step{scale, 5.0f};
      const std::vector<float> x = numbers(count, scale);
      std::vector<T> q(count), expected;
      std::vector<float> back(count), expected_back;
      for (const float one : x) expected.push_back(quantized<T>(one, step));
      for (const T one : expected) expected_back.push_back((static_cast<float>(one) - 5) * scale);
      quantize(x.data(), static_cast<std::ptrdiff_t>(count), step, integer, q.data());
      REQUIRE(expected == q);
      dequantize(q.data(), static_cast<std::ptrdiff_t>(count), step, integer, back.data());
      REQUIRE(expected_back == back);
    }
  }
}

TEST_CASE("integers and numbers are those of plain loops at every count around a vector") {
  SUBCASE("uint8") { check<std::uint8_t>(Integer::kUint8); }
  SUBCASE("int8") { check<std::int8_t>(Integer::kInt8); }
  SUBCASE("uint16") { check<std::uint16_t>(Integer::kUint16); }
  SUBCASE("int16") { check<std::int16_t>(Integer::kInt16); }
}

TEST_CASE("every zero point leaves the whole range") {
  const std::vector<float> x{-HUGE_VALF, HUGE_VALF, -1e6f, 1e6f, 0, -255, 255, 0.5f, -0.5f};
  for (int zero = -128; zero < 128; ++zero) {
    const QuantizationStep step{1.0f, static_cast<float>(zero)};
    std::vector<std::int8_t> q(x.size()), expected;
    for (const float one : x) expected.push_back(quantized<std::int8_t>(one, step));
    quantize(x.data(), static_cast<std::ptrdiff_t>(x.size()), step, Integer::kInt8, q.data());
    REQUIRE(expected == q);
  }
}

}  // namespace
}  // namespace hwrt
