#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../../../csrc/kernels/yuv.h"
#include "resampling.h"
#include "yuv_frames.h"

namespace hwrt {
namespace {

struct Tap {
  std::ptrdiff_t low, high;
  double weight;
};

Tap tap_of(std::ptrdiff_t source, std::ptrdiff_t target, std::ptrdiff_t i) {
  const double last = static_cast<double>(source - 1);
  const double place =
      (static_cast<double>(i) + 0.5) * static_cast<double>(source) / static_cast<double>(target) -
      0.5;
  const double centre = std::min(std::max(place, 0.0), last);
  const auto low = static_cast<std::ptrdiff_t>(centre);
  return {low, std::min(low + 1, source - 1), centre - static_cast<double>(low)};
}

double sample(const YuvPixels& frame, int plane, const Tap& y, const Tap& x) {
  const auto row = [&](std::ptrdiff_t at) {
    const double left = frame.at(plane, at, x.low);
    return left + (frame.at(plane, at, x.high) - left) * x.weight;
  };
  return row(y.low) + (row(y.high) - row(y.low)) * y.weight;
}

TEST_CASE("colours are within a sixteenth of a level, and nothing beyond the frame is read") {
  for (const bool packed : {false, true}) {
    for (const std::ptrdiff_t source : {2, 4, 6, 14, 30, 34, 66, 130}) {
      for (const std::ptrdiff_t target : {1, 2, 7, 8, 9, 15, 16, 17, 33}) {
        const YuvPixels frame(6, source, packed);
        const std::vector<float> out = frame.converted(whole(6, 5), whole(source, target), kLevels);
        for (std::ptrdiff_t i = 0; i < 5 * target; ++i) {
          const std::ptrdiff_t row = i / target, column = i % target;
          const Tap y = tap_of(6, 5, row), x = tap_of(source, target, column);
          const Tap chroma_y = packed ? y : tap_of(3, 5, row);
          const Tap chroma_x = tap_of(source / 2, target, column);
          const double gray = (sample(frame, 0, y, x) - 16) * 255 / 219;
          const double u = sample(frame, 1, chroma_y, chroma_x) - 128;
          const double v = sample(frame, 2, chroma_y, chroma_x) - 128;
          const double exact[3] = {gray + 1.596027 * v, gray - 0.391762 * u - 0.812968 * v,
                                   gray + 2.017232 * u};
          for (int c = 0; c < 3; ++c) {
            const double within = std::min(std::max(exact[c], 0.0), 255.0);
            REQUIRE(std::fabs(out[static_cast<std::size_t>(3 * i + c)] - within) <= 1.0 / 16);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace hwrt
