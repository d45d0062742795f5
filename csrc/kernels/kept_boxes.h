// The boxes that greedy non-maximum suppression has kept so far.
#ifndef HWRT_CSRC_KERNELS_KEPT_BOXES_H_
#define HWRT_CSRC_KERNELS_KEPT_BOXES_H_

#include <cstddef>
#include <cstdint>

namespace hwrt {

// x0, y0, x1, y1.
struct Box {
  double corners[4];
};

// Boxes are offered from the best to the worst.  One is kept unless its IoU with a kept one of its
// class is above the threshold: shared > iou * (area + area - shared), in double precision.  A box
// without area, or whose corners are exchanged, overlaps nothing.
//
// The memory is the caller's: kept_boxes_size(capacity) bytes, aligned to 64.  One thread at a
// time.
class KeptBoxes {
 public:
  KeptBoxes(void* memory, std::ptrdiff_t capacity, double iou) noexcept;

  // True, and then it is kept, unless a kept one overlaps it.  0 <= group < 2**24; no corner is
  // NaN; fewer than capacity are kept.
  bool offer(const Box& box, std::int32_t group) noexcept;

  std::ptrdiff_t count() const { return count_; }
  const Box& operator[](std::ptrdiff_t i) const { return boxes_[i]; }

  // What the variants read: numbers of kept boxes in float32, padded with groups of -1.
  struct Columns {
    float* x0;
    float* y0;
    float* x1;
    float* y1;
    float* area;
    float* margin;  // of error in an area, for float32 and this box
    float* group;
  };

 private:
  Columns columns_;
  Box* boxes_;
  std::ptrdiff_t count_ = 0;
  double iou_;
};

std::ptrdiff_t kept_boxes_size(std::ptrdiff_t capacity) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_KEPT_BOXES_H_
