#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "../../../csrc/kernels/kept_boxes.h"
#include "boxes.h"
#include "scratch_memory.h"

namespace hwrt {
namespace {

std::vector<int> kept(const std::vector<Box>& boxes, const std::vector<std::int32_t>& groups,
                      double iou, std::size_t most) {
  const auto capacity = static_cast<std::ptrdiff_t>(most);
  const ScratchMemory memory(kept_boxes_size(capacity));
  KeptBoxes keeper(memory.get(), iou);
  std::vector<int> numbers;
  for (std::size_t i = 0; i < boxes.size() && numbers.size() < most; ++i) {
    if (keeper.offer(boxes[i], groups[i])) numbers.push_back(static_cast<int>(i));
    REQUIRE(keeper.count() == static_cast<std::ptrdiff_t>(numbers.size()));
  }
  return numbers;
}

TEST_CASE("boxes of every size and density are those of plain loops") {
  for (const float reach : {1e-18f, 1e-3f, 1.0f, 640.0f, 1e6f, 1e15f, 3e19f}) {
    for (const int classes : {1, 3, 80}) {
      for (const double iou : {0.0, 0.001, 0.45, 0.7, 1.0}) {
        CAPTURE(reach);
        CAPTURE(classes);
        CAPTURE(iou);
        const auto boxes = crowd(static_cast<std::uint64_t>(classes), 400, reach);
        std::vector<std::int32_t> groups;
        for (int i = 0; i < 400; ++i) groups.push_back(i * 7 % classes);
        CHECK(kept_by_loops(boxes, groups, iou, 1000) == kept(boxes, groups, iou, 400));
      }
    }
  }
}

TEST_CASE("as many are kept as there is room for") {
  const auto boxes = crowd(5, 300, 640.0f);
  const std::vector<std::int32_t> groups(300, 0);
  for (const std::size_t most : {1u, 2u, 7u, 8u, 9u, 15u, 16u, 17u, 33u}) {
    CHECK(kept_by_loops(boxes, groups, 0.45, most) == kept(boxes, groups, 0.45, most));
  }
}

TEST_CASE("a box meets the kept one wherever in a vector that stands") {
  for (int count = 1; count <= 40; ++count) {
    for (int copy = 0; copy < count; ++copy) {
      std::vector<Box> boxes;
      for (int i = 0; i < count; ++i) boxes.push_back({{20.0 * i, 0, 20.0 * i + 10, 10}});
      boxes.push_back({{20.0 * copy + 1, 1, 20.0 * copy + 11, 11}});
      std::vector<std::int32_t> groups(boxes.size(), 3);
      const std::vector<int> found = kept(boxes, groups, 0.45, boxes.size());
      REQUIRE(found.size() == static_cast<std::size_t>(count));
    }
  }
}

TEST_CASE("boxes that touch the threshold from both sides are told apart in double") {
  for (const double shift : {0.0, 640.0, 1e6}) {
    const Box first{{shift, 0, shift + 2, 1}};
    for (const double off : {-1e-9, -1e-12, 1e-12, 1e-9}) {
      const Box second{{shift + 1 + off, 0, shift + 2, 1}};
      const std::vector<std::int32_t> groups{0, 0};
      CHECK(kept({first, second}, groups, 0.5, 2) ==
            kept_by_loops({first, second}, groups, 0.5, 2));
    }
  }
}

TEST_CASE("infinite boxes, and those without area, overlap nothing") {
  const std::vector<Box> boxes{{{-HUGE_VAL, -HUGE_VAL, HUGE_VAL, HUGE_VAL}},
                               {{-HUGE_VAL, 0, HUGE_VAL, 1}},
                               {{0, 0, 1e300, 1e300}},
                               {{5, 5, 5, 5}},
                               {{9, 9, 1, 1}},
                               {{0, 0, 1, 1}}};
  CHECK(kept(boxes, std::vector<std::int32_t>(6, 0), 0.0, 6) == std::vector<int>{0, 1, 2, 3, 4, 5});
}

}  // namespace
}  // namespace hwrt
