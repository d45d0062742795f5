// Maps of scores and their classes, in memory of just their size.
#ifndef HWRT_TESTS_KERNELS_CPP_MAPS_H_
#define HWRT_TESTS_KERNELS_CPP_MAPS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../../csrc/kernels/argmax_map.h"
#include "random.h"
#include "scratch_memory.h"

namespace hwrt {

struct Map {
  std::vector<float> scores;
  ScoreMap map;

  // Random scores, many of them equal, some NaN or infinite.
  Map(std::ptrdiff_t height, std::ptrdiff_t width, std::ptrdiff_t count, bool planar)
      : scores(Random(static_cast<std::uint64_t>(count * 1000 + width))
                   .floats(height * width * count, -9, 9)),
        map{scores.data(),
            height,
            width,
            count,
            planar ? width : width * count,
            planar ? 1 : count,
            planar ? height * width : 1} {
    for (float& score : scores) score = std::floor(score * 2);
    for (std::size_t i = 3; i < scores.size(); i += 17) scores[i] = std::nanf("");
    for (std::size_t i = 5; i < scores.size(); i += 23) scores[i] = -HUGE_VALF;
    for (std::size_t i = 8; i < scores.size(); i += 97) scores[i] = HUGE_VALF;
  }
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;

  std::vector<std::uint8_t> classes() const {
    std::vector<std::uint8_t> out(static_cast<std::size_t>(map.height * map.width), 77);
    const ScratchMemory memory(argmax_map_scratch_size(map, map.width));
    argmax_map(map, 0, map.height, out.data(), memory.get());
    return out;
  }

  std::vector<std::uint8_t> resized(const MapSpan& rows, const MapSpan& columns) const {
    std::vector<std::uint8_t> out(static_cast<std::size_t>(rows.count * columns.count), 77);
    const auto padded = static_cast<std::size_t>(padded_columns(columns.count));
    std::vector<std::int32_t> down(static_cast<std::size_t>(rows.count)), across(padded);
    std::vector<float> row_weights(down.size()), column_weights(padded);
    map_taps(rows, down.data(), row_weights.data());
    map_taps(columns, across.data(), column_weights.data());
    const MapTaps taps{columns.count, down.data(), row_weights.data(), across.data(),
                       column_weights.data()};
    const ScratchMemory memory(argmax_map_scratch_size(map, columns.count));
    resized_argmax_map(map, taps, 0, rows.count, out.data(), memory.get());
    return out;
  }
};

}  // namespace hwrt

#endif  // HWRT_TESTS_KERNELS_CPP_MAPS_H_
