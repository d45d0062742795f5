// Frames brought to another size, by the kernels and by plain loops in double.
#ifndef HWRT_TESTS_KERNELS_CPP_RESAMPLING_H_
#define HWRT_TESTS_KERNELS_CPP_RESAMPLING_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../../csrc/kernels/area.h"
#include "../../../csrc/kernels/bilinear.h"
#include "../../../csrc/kernels/image.h"
#include "scratch_memory.h"

namespace hwrt {

struct Resampling {
  Span rows, columns;
  int channels;      // of the frame
  int out_channels;  // of the tensor
  bool area;
  Normalisation normalisation;
  Element element;
  bool planar;
};

inline Span whole(std::ptrdiff_t source, std::ptrdiff_t target) {
  return {source, target, 0, target};
}

inline constexpr Normalisation kLevels{{1, 1, 1}, {0, 0, 0}, false};

// The bytes of a dense tensor, from a dense frame.
inline std::vector<char> resampled(const std::vector<std::uint8_t>& pixels, const Resampling& how) {
  const std::ptrdiff_t size = size_of(how.element), height = how.rows.count,
                       width = how.columns.count, channels = how.out_channels;
  std::vector<char> out(static_cast<std::size_t>(height * width * channels * size));
  const Frame frame{pixels.data(), how.rows.source, how.columns.source, how.channels,
                    how.columns.source * how.channels};
  Tensor tensor{out.data(), how.element, height, width, how.out_channels, 0, 0, 0};
  tensor.row_stride = width * size * (how.planar ? 1 : channels);
  tensor.pixel_stride = size * (how.planar ? 1 : channels);
  tensor.channel_stride = size * (how.planar ? height * width : 1);
  if (how.area) {
    std::vector<AreaTap> rows(static_cast<std::size_t>(height)),
        columns(static_cast<std::size_t>(width));
    AreaPlan plan{how.rows, how.columns, how.channels, rows.data(), columns.data(), 0};
    plan.norm = area_taps(how.rows, rows.data()) * area_taps(how.columns, columns.data());
    const ScratchMemory scratch(area_scratch_size(plan));
    area(frame, plan, how.normalisation, tensor, 0, height, scratch.get());
    return out;
  }
  std::vector<std::int32_t> low(static_cast<std::size_t>(height)),
      offset(static_cast<std::size_t>(width));
  std::vector<std::int16_t> row_weight(low.size()), column_weight(offset.size());
  bilinear_taps(how.rows, low.data(), row_weight.data());
  bilinear_taps(how.columns, offset.data(), column_weight.data());
  for (std::int32_t& one : offset) one *= how.channels;
  const BilinearPlan plan{how.rows,          how.columns,   how.channels,        low.data(),
                          row_weight.data(), offset.data(), column_weight.data()};
  const ScratchMemory scratch(bilinear_scratch_size(plan));
  bilinear(frame, plan, how.normalisation, tensor, 0, height, scratch.get());
  return out;
}

// The share that each source pixel has in pixel i of the scaled dimension.
inline std::vector<double> shares(const Span& span, std::ptrdiff_t i, bool area) {
  std::vector<double> made(static_cast<std::size_t>(span.source));
  const double step = static_cast<double>(span.source) / static_cast<double>(span.target);
  const double at = static_cast<double>(span.start + i);
  const double last = static_cast<double>(span.source - 1);
  const double centre = std::clamp((at + 0.5) * step - 0.5, 0.0, last);
  for (std::size_t j = 0; j < made.size(); ++j) {
    const double pixel = static_cast<double>(j);
    if (area && span.target < span.source) {
      const double shared = std::min(pixel + 1, (at + 1) * step) - std::max(pixel, at * step);
      made[j] = std::max(shared, 0.0) / step;
    } else {
      made[j] = std::max(1.0 - std::fabs(centre - pixel), 0.0);
    }
  }
  return made;
}

// The exact levels, (height, width, channels of the frame).
inline std::vector<double> exact_levels(const std::vector<std::uint8_t>& pixels,
                                        const Resampling& how) {
  std::vector<double> levels;
  const std::size_t width = static_cast<std::size_t>(how.columns.source),
                    channels = static_cast<std::size_t>(how.channels);
  for (std::ptrdiff_t y = 0; y < how.rows.count; ++y) {
    const std::vector<double> down = shares(how.rows, y, how.area);
    for (std::ptrdiff_t x = 0; x < how.columns.count; ++x) {
      const std::vector<double> across = shares(how.columns, x, how.area);
      for (std::size_t c = 0; c < channels; ++c) {
        double level = 0;
        for (std::size_t i = 0; i < down.size(); ++i) {
          for (std::size_t j = 0; down[i] > 0 && j < across.size(); ++j) {
            level += down[i] * across[j] * pixels[(i * width + j) * channels + c];
          }
        }
        levels.push_back(level);
      }
    }
  }
  return levels;
}

}  // namespace hwrt

#endif  // HWRT_TESTS_KERNELS_CPP_RESAMPLING_H_
