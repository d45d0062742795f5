// Boxes for tests, and suppression by plain loops in double.
#ifndef HWRT_TESTS_KERNELS_CPP_BOXES_H_
#define HWRT_TESTS_KERNELS_CPP_BOXES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../../csrc/kernels/kept_boxes.h"
#include "random.h"

namespace hwrt {

inline std::vector<Box> crowd(std::uint64_t seed, int count, float reach) {
  Random random(seed);
  std::vector<Box> boxes;
  for (int i = 0; i < count; ++i) {
    const double x = random.between(0, reach), y = random.between(0, reach);
    const double width = random.between(-0.01f * reach, 0.5f * reach);
    boxes.push_back({{x, y, x + width, y + random.between(0, 0.5f * reach)}});
  }
  return boxes;
}

inline double area_of(const Box& box) {
  return std::max(box.corners[2] - box.corners[0], 0.0) *
         std::max(box.corners[3] - box.corners[1], 0.0);
}

inline bool overlap_by_more(const Box& a, const Box& b, double iou) {
  const Box shared{{std::max(a.corners[0], b.corners[0]), std::max(a.corners[1], b.corners[1]),
                    std::min(a.corners[2], b.corners[2]), std::min(a.corners[3], b.corners[3])}};
  return area_of(shared) > iou * (area_of(a) + area_of(b) - area_of(shared));
}

// The numbers of the boxes to keep, which come best first.
inline std::vector<int> kept_by_loops(const std::vector<Box>& boxes,
                                      const std::vector<std::int32_t>& groups, double iou,
                                      std::size_t most) {
  std::vector<int> kept;
  for (std::size_t i = 0; i < boxes.size() && kept.size() < most; ++i) {
    const bool free = std::none_of(kept.begin(), kept.end(), [&](int j) {
      const auto other = static_cast<std::size_t>(j);
      return groups[other] == groups[i] && overlap_by_more(boxes[other], boxes[i], iou);
    });
    if (free) kept.push_back(static_cast<int>(i));
  }
  return kept;
}

}  // namespace hwrt

#endif  // HWRT_TESTS_KERNELS_CPP_BOXES_H_
