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
// group is above the threshold: shared > iou * (area + area - shared), in double precision.  A box
// without area, or whose corners are exchanged, overlaps nothing.
//
// The memory is the caller's: kept_boxes_size(capacity) bytes for that many kept boxes, aligned to
// 64.  One thread at a time.
class KeptBoxes {
 public:
  KeptBoxes(void* memory, double iou) noexcept;

  // True, and then it is kept, unless a kept one of the group overlaps it.  No corner is NaN; fewer
  // than capacity are kept.
  bool offer(const Box& box, std::int32_t group) noexcept;

  std::ptrdiff_t count() const { return count_; }

  // Some kept boxes of one group, in float32, and where the group's other ones are.
  struct Block {
    static constexpr int kBoxes = 8;
    std::int32_t group;
    std::int32_t count;
    std::int32_t next;  // the number of another block of this list, or -1
    float x0[kBoxes], y0[kBoxes], x1[kBoxes], y1[kBoxes];
    float area[kBoxes];
    float margin[kBoxes];  // of error in an area, for float32 and this box
    Box exact[kBoxes];
  };
  // One box's numbers in float32, as a block has them.
  struct Candidate {
    float x0, y0, x1, y1, area, margin;
  };
  // True where a box of the block overlaps the candidate.
  using AnyOverlaps = bool (*)(const Block& block, const Box& box, const Candidate& candidate,
                               double iou);

 private:
  static constexpr int kLists = 256;  // a group's list is that of its last bits
  std::int32_t first_[kLists];        // the number of a list's first block, or -1
  Block* blocks_;
  std::int32_t block_count_ = 0;
  std::ptrdiff_t count_ = 0;
  double iou_;
  AnyOverlaps any_overlaps_;
};

std::ptrdiff_t kept_boxes_size(std::ptrdiff_t capacity) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_KEPT_BOXES_H_
