#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "../../../csrc/kernels/argmax_map.h"
#include "maps.h"

namespace hwrt {
namespace {

float score_at(const ScoreMap& map, std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t c) {
  return map.data[y * map.row_stride + x * map.pixel_stride + c * map.class_stride];
}

double held(float score) {
  return std::isnan(score) ? -1e38f : std::fmax(-1e38f, std::fmin(1e38f, score));
}

std::uint8_t class_at(const ScoreMap& map, std::ptrdiff_t y, std::ptrdiff_t x) {
  std::ptrdiff_t found = 0;
  float best = -HUGE_VALF;
  for (std::ptrdiff_t c = 0; c < map.classes; ++c) {
    const float score = score_at(map, y, x, c);
    if (score > best) best = score, found = c;
  }
  return static_cast<std::uint8_t>(found);
}

TEST_CASE("the class of each pixel is the lowest of the highest scores") {
  for (const bool planar : {true, false}) {
    for (std::ptrdiff_t width = 1; width < 40; width += 3) {
      for (const std::ptrdiff_t count : {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 256}) {
        const Map map(3, width, count, planar);
        const std::vector<std::uint8_t> classes = map.classes();
        for (std::size_t i = 0; i < classes.size(); ++i) {
          const auto at = static_cast<std::ptrdiff_t>(i);
          REQUIRE(classes[i] == class_at(map.map, at / width, at % width));
        }
      }
    }
  }
}

TEST_CASE("a row longer than what is kept together is found whole") {
  const Map map(2, 2500, 9, true);
  const std::vector<std::uint8_t> classes = map.classes();
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const auto at = static_cast<std::ptrdiff_t>(i);
    REQUIRE(classes[i] == class_at(map.map, at / 2500, at % 2500));
  }
}

TEST_CASE("no resized class has a score that is clearly below another's") {
  for (const bool planar : {true, false}) {
    for (const std::ptrdiff_t width : {1, 2, 7, 20}) {
      for (const std::ptrdiff_t count : {2, 3, 8, 11}) {
        const Map map(5, width, count, planar);
        const MapSpan rows{0.5, 3.2, 5, 7}, columns{0, static_cast<double>(width), width, 37};
        std::int32_t down[7], across[48];
        float row_weights[7], column_weights[48];
        map_taps(rows, down, row_weights);
        map_taps(columns, across, column_weights);
        const std::vector<std::uint8_t> classes = map.resized(rows, columns);
        for (std::size_t i = 0; i < classes.size(); ++i) {
          const std::size_t y = i / 37, x = i % 37;
          const std::ptrdiff_t y0 = down[y], x0 = across[x];
          const std::ptrdiff_t y1 = y0 < 4 ? y0 + 1 : y0, x1 = x0 < width - 1 ? x0 + 1 : x0;
          const auto exact = [&](std::ptrdiff_t c) {
            const auto across_row = [&](std::ptrdiff_t row) {
              const double a = held(score_at(map.map, row, x0, c));
              return a + (held(score_at(map.map, row, x1, c)) - a) * column_weights[x];
            };
            const double a = across_row(y0);
            return a + (across_row(y1) - a) * row_weights[y];
          };
          const double here = exact(classes[i]);
          const double near = std::fabs(here) > 1e30 ? 1e32 : 1e-4;
          for (std::ptrdiff_t c = 0; c < count; ++c) REQUIRE(exact(c) <= here + near);
        }
      }
    }
  }
}

TEST_CASE("taps of the whole map are those of pixel centres") {
  std::int32_t low[6];
  float weights[6];
  map_taps({0, 3, 3, 6}, low, weights);
  CHECK(std::vector<std::int32_t>(low, low + 6) == std::vector<std::int32_t>{0, 0, 0, 1, 1, 2});
  CHECK(std::vector<float>(weights, weights + 6) ==
        std::vector<float>{0, 0.25f, 0.75f, 0.25f, 0.75f, 0});
}

TEST_CASE("taps of less than a pixel lie at its middle, and within the map") {
  std::int32_t low[2];
  float weights[2];
  map_taps({2.25, 0.5, 4, 2}, low, weights);
  CHECK(low[0] == 2);
  CHECK(low[1] == 2);
  CHECK(weights[0] == 0.0f);
  map_taps({-9, 2, 4, 2}, low, weights);
  CHECK(low[1] == 0);
  CHECK(weights[1] == 0.0f);
}

}  // namespace
}  // namespace hwrt
