// Heads for tests, and what the kernel finds in them.
#ifndef HWRT_TESTS_KERNELS_CPP_HEADS_H_
#define HWRT_TESTS_KERNELS_CPP_HEADS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../../../csrc/kernels/yolo.h"
#include "random.h"
#include "scratch_memory.h"

namespace hwrt {

struct Found {
  std::vector<float> boxes, scores;
  std::vector<std::int32_t> classes;

  bool operator==(const Found& other) const {
    return boxes == other.boxes && scores == other.scores && classes == other.classes;
  }
};

inline constexpr BoxMap kNoMap{{1, 1}, {0, 0}, {1, 1}, {0, 0}, false};

inline Found find(const YoloHead& head, const YoloThresholds& thresholds,
                  const BoxMap& map = kNoMap) {
  const auto most = static_cast<std::size_t>(thresholds.max_det);
  Found found{std::vector<float>(4 * most), std::vector<float>(most),
              std::vector<std::int32_t>(most)};
  const ScratchMemory scratch(yolo_scratch_size(head, thresholds.max_det));
  const auto count = static_cast<std::size_t>(yolo_detections(
      head, thresholds, map, {found.boxes.data(), found.scores.data(), found.classes.data()},
      scratch.get()));
  found.boxes.resize(4 * count);
  found.scores.resize(count);
  found.classes.resize(count);
  return found;
}

// A head whose rows are `anchors` numbers each, few of them distinct, with NaN and infinities.
inline std::vector<float> messy_head(std::uint64_t seed, int anchors, int numbers) {
  Random random(seed);
  constexpr float kOdd[] = {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            0.0f,
                            -0.0f,
                            1e30f};
  std::vector<float> made;
  for (int row = 0; row < numbers; ++row) {
    for (int i = 0; i < anchors; ++i) {
      const float score = static_cast<float>(random.below(10)) / 8.0f;
      const float usual = row < 4 ? random.between(0, 60) : score;
      const int odd = random.below(150);
      made.push_back(odd < 6 ? kOdd[odd] : usual);
    }
  }
  return made;
}

// The other layout: the numbers of an anchor beside each other.
template <typename T>
std::vector<T> transposed(const std::vector<T>& rows, int anchors) {
  const std::size_t width = static_cast<std::size_t>(anchors), numbers = rows.size() / width;
  std::vector<T> made(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    made[i % width * numbers + i / width] = rows[i];
  }
  return made;
}

template <typename T>
YoloHead rows_head(const std::vector<T>& rows, HeadElement element, int anchors) {
  const std::ptrdiff_t size = sizeof(T);
  const auto numbers = static_cast<std::ptrdiff_t>(rows.size()) / anchors;
  return {rows.data(), element, anchors, numbers - 4, anchors * size, size, false, 0.0117f, -3};
}

template <typename T>
YoloHead anchors_head(const std::vector<T>& data, HeadElement element, int anchors,
                      bool objectness) {
  const std::ptrdiff_t size = sizeof(T);
  const auto numbers = static_cast<std::ptrdiff_t>(data.size()) / anchors;
  return {data.data(), element, anchors, numbers - (objectness ? 5 : 4), size, numbers * size,
          objectness,  0.0117f, -3};
}

}  // namespace hwrt

#endif  // HWRT_TESTS_KERNELS_CPP_HEADS_H_
