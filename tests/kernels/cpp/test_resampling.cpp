#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "random.h"
#include "resampling.h"

namespace hwrt {
namespace {

constexpr double kRatios[] = {0.3, 0.5, 1.0, 1.37, 2.0, 3.0, 4.0, 5.5, 9.0};

double worst_error(const Resampling& how) {
  Random random(static_cast<std::uint64_t>(how.columns.source * 64 + how.columns.target));
  const auto pixels = random.bytes(how.rows.source * how.columns.source * how.channels);
  const std::vector<char> bytes = resampled(pixels, how);
  const std::vector<double> levels = exact_levels(pixels, how);
  double worst = 0;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    float level;
    std::memcpy(&level, bytes.data() + 4 * i, sizeof level);
    worst = std::max(worst, std::fabs(static_cast<double>(level) - levels[i]));
  }
  return worst;
}

// Of all widths from 1 to 33 pixels.
double worst_error(double ratio, int channels, bool area) {
  double worst = 0;
  for (std::ptrdiff_t n = 1; n <= 33; ++n) {
    const auto source = static_cast<std::ptrdiff_t>(std::ceil(static_cast<double>(n) * ratio));
    worst = std::max(worst, worst_error({whole(4, 3), whole(source, n), channels, channels, area,
                                         kLevels, Element::kFloat32, false}));
  }
  return worst;
}

TEST_CASE("bilinear levels of noise are within 0.012 at every width around a vector") {
  for (const double ratio : kRatios) {
    CAPTURE(ratio);
    CHECK(worst_error(ratio, 1, false) <= 0.012);
    CHECK(worst_error(ratio, 3, false) <= 0.012);
  }
}

TEST_CASE("area levels are within 0.001 of the exact ones at every width around a vector") {
  for (const double ratio : kRatios) {
    CAPTURE(ratio);
    CHECK(worst_error(ratio, 1, true) <= 1e-3);
    CHECK(worst_error(ratio, 3, true) <= 1e-3);
  }
}

TEST_CASE("rows are resampled as columns are") {
  for (const double ratio : kRatios) {
    for (std::ptrdiff_t n = 1; n <= 9; ++n) {
      const auto source = static_cast<std::ptrdiff_t>(std::ceil(static_cast<double>(n) * ratio));
      CAPTURE(source);
      CAPTURE(n);
      const Span rows = whole(source, n), columns = whole(20, 17);
      const Element element = Element::kFloat32;
      CHECK(worst_error({rows, columns, 3, 3, false, kLevels, element, false}) <= 0.012);
      CHECK(worst_error({rows, columns, 3, 3, true, kLevels, element, false}) <= 1e-3);
    }
  }
}

TEST_CASE("a crop needs no more of the frame than its middle") {
  const Span rows[] = {{40, 16, 3, 9}, {10, 40, 39, 1}, {9, 9, 8, 1}};
  const Span columns[] = {{60, 24, 0, 1}, {60, 24, 5, 18}, {90, 9, 7, 2}, {20, 90, 41, 49}};
  for (const Span& down : rows) {
    for (const Span& across : columns) {
      const Element element = Element::kFloat32;
      CHECK(worst_error({down, across, 3, 3, false, kLevels, element, false}) <= 0.012);
      CHECK(worst_error({down, across, 1, 1, true, kLevels, element, false}) <= 1e-3);
    }
  }
}

TEST_CASE("bilinear taps name a pixel of the source and a weight of 15 bits") {
  for (std::ptrdiff_t source = 1; source < 40; ++source) {
    for (std::ptrdiff_t target = 1; target < 40; ++target) {
      const std::size_t count = static_cast<std::size_t>(target);
      std::vector<std::int32_t> low(count);
      std::vector<std::int16_t> weight(count);
      bilinear_taps(whole(source, target), low.data(), weight.data());
      for (std::size_t i = 0; i < count; ++i) {
        const double step = static_cast<double>(source) / static_cast<double>(target);
        const double centre = std::clamp((static_cast<double>(i) + 0.5) * step - 0.5, 0.0,
                                         static_cast<double>(source - 1));
        REQUIRE(low[i] >= 0);
        REQUIRE(low[i] + (weight[i] > 0 ? 1 : 0) < source);
        REQUIRE(weight[i] >= 0);
        REQUIRE(std::fabs(low[i] + weight[i] / 32768.0 - centre) <= 0.5 / 32768);
      }
    }
  }
}

TEST_CASE("area taps add up to one and stay within the source") {
  for (std::ptrdiff_t source = 1; source < 60; ++source) {
    for (std::ptrdiff_t target = 1; target < 60; ++target) {
      std::vector<AreaTap> taps(static_cast<std::size_t>(target));
      const float norm = area_taps(whole(source, target), taps.data());
      for (const AreaTap& tap : taps) {
        const double middle = tap.count > 2 ? tap.count - 2 : 0;
        const double sum = tap.first + middle + (tap.count > 1 ? tap.last : 0.0f);
        REQUIRE(tap.begin >= 0);
        REQUIRE(tap.count >= 1);
        REQUIRE(tap.begin + tap.count <= source);
        REQUIRE(sum * norm == doctest::Approx(1.0).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("every element and layout holds the same levels") {
  Random random(7);
  const auto pixels = random.bytes(11 * 47 * 3);
  for (const bool area : {false, true}) {
    for (const std::ptrdiff_t width : {5, 16, 33}) {
      Resampling how{whole(11, 6), whole(47, width), 3, 3, area, kLevels, Element::kUint8, false};
      const std::vector<char> levels = resampled(pixels, how);
      how.planar = true;
      const std::vector<char> planes = resampled(pixels, how);
      how.normalisation = {{1, 1, 1}, {-128, -128, -128}, false};
      how.element = Element::kInt8;
      const std::vector<char> shifted = resampled(pixels, how);
      const std::size_t count = levels.size() / 3;
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t c = 0; c < 3; ++c) {
          REQUIRE(levels[3 * i + c] == planes[c * count + i]);
          // 128 less, but for a half, which goes to the even neighbour of either.
          const int level = static_cast<std::uint8_t>(planes[c * count + i]);
          const int signed_level = static_cast<std::int8_t>(shifted[c * count + i]);
          REQUIRE(std::abs(signed_level + 128 - level) <= 1);
        }
      }
    }
  }
}

TEST_CASE("reversed channels are those of the reversed frame") {
  Random random(8);
  const auto pixels = random.bytes(9 * 31 * 3);
  auto reversed = pixels;
  for (std::size_t i = 0; i < reversed.size(); i += 3) std::swap(reversed[i], reversed[i + 2]);
  for (const bool area : {false, true}) {
    Resampling how{whole(9, 7),       whole(31, 20), 3, 3, area, {{1, 2, 3}, {4, 5, 6}, true},
                   Element::kFloat32, true};
    const std::vector<char> actual = resampled(pixels, how);
    how.normalisation.reversed = false;
    CHECK(resampled(reversed, how) == actual);
  }
}

TEST_CASE("a gray frame fills three channels") {
  Random random(9);
  const auto pixels = random.bytes(9 * 31);
  std::vector<std::uint8_t> three;
  for (const std::uint8_t level : pixels) three.insert(three.end(), 3, level);
  for (const std::ptrdiff_t width : {1, 7, 16, 40}) {
    Resampling how{
        whole(9, 7), whole(31, width), 3, 3, false, {{1, 2, 3}, {4, 5, 6}, true}, Element::kFloat32,
        false};
    const std::vector<char> expected = resampled(three, how);
    how.channels = 1;
    CHECK(expected == resampled(pixels, how));
  }
}

}  // namespace
}  // namespace hwrt
