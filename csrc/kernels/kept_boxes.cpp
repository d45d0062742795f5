#include "kept_boxes.h"

#include <cmath>
#include <cstddef>
#include <cstring>

#include "target.h"
#include "target_region.h"

namespace hwrt {
namespace {

using std::int32_t;
using std::ptrdiff_t;

using Block = KeptBoxes::Block;
using Candidate = KeptBoxes::Candidate;

double side(double low, double high) {
  const double length = high - low;
  return length < 0.0 ? 0.0 : length;  // a NaN, of infinities, stays and compares as no overlap
}

double area_of(const Box& box) {
  return side(box.corners[0], box.corners[2]) * side(box.corners[1], box.corners[3]);
}

double larger(double a, double b) { return a > b ? a : b; }
double smaller(double a, double b) { return a < b ? a : b; }

bool overlap(const Box& a, const Box& b, double iou) {
  const double width =
      side(larger(a.corners[0], b.corners[0]), smaller(a.corners[2], b.corners[2]));
  const double height =
      side(larger(a.corners[1], b.corners[1]), smaller(a.corners[3], b.corners[3]));
  const double shared = width * height;
  return shared > iou * (area_of(a) + area_of(b) - shared);
}

// The margin is well above what rounding corners, sides and areas to float32 can change; kLeast
// covers what float32 can not tell from 0, and what is above kMost is nothing that it can hold.
Candidate in_float32(const Box& box) {
  constexpr double kMargin = 1e-6, kLeast = 1e-30, kMost = 1e37;
  const double* c = box.corners;
  const double reach = std::fabs(c[0]) + std::fabs(c[1]) + std::fabs(c[2]) + std::fabs(c[3]);
  const double area = area_of(box), sides = side(c[0], c[2]) + side(c[1], c[3]);
  const double margin = area > kMost ? HUGE_VAL : kMargin * (area + reach * sides) + kLeast;
  return {static_cast<float>(c[0]), static_cast<float>(c[1]), static_cast<float>(c[2]),
          static_cast<float>(c[3]), static_cast<float>(area), static_cast<float>(margin)};
}

using Variant = KeptBoxes::AnyOverlaps;

namespace scalar {

bool any_overlaps(const Block& block, const Box& box, const Candidate&, double iou) {
  for (int i = 0; i < block.count; ++i) {
    if (overlap(block.exact[i], box, iou)) return true;
  }
  return false;
}

constexpr Variant kVariant = any_overlaps;

}  // namespace scalar

#define HWRT_PASSES "passes/kept_boxes.inc"
#include "each_target.inc"

}  // namespace

ptrdiff_t kept_boxes_size(ptrdiff_t capacity) noexcept {
  return capacity * ptrdiff_t{sizeof(Block)};  // each box may be of a group of its own
}

KeptBoxes::KeptBoxes(void* memory, double iou) noexcept
    : blocks_(static_cast<Block*>(memory)), iou_(iou), any_overlaps_(current_variant()) {
  for (int32_t& first : first_) first = -1;
}

bool KeptBoxes::offer(const Box& box, int32_t group) noexcept {
  const Candidate candidate = in_float32(box);
  int32_t& first = first_[static_cast<unsigned>(group) % kLists];
  Block* open = nullptr;
  for (int32_t number = first; number >= 0; number = blocks_[number].next) {
    Block& block = blocks_[number];
    if (block.group != group) continue;
    if (any_overlaps_(block, box, candidate, iou_)) return false;
    if (block.count < Block::kBoxes) open = &block;
  }
  if (open == nullptr) {
    open = &blocks_[block_count_];
    std::memset(open, 0, offsetof(Block, exact));  // whole vectors of floats are read
    open->group = group;
    open->next = first;
    first = block_count_++;
  }
  const int32_t i = open->count++;
  open->x0[i] = candidate.x0;
  open->y0[i] = candidate.y0;
  open->x1[i] = candidate.x1;
  open->y1[i] = candidate.y1;
  open->area[i] = candidate.area;
  open->margin[i] = candidate.margin;
  open->exact[i] = box;
  ++count_;
  return true;
}

}  // namespace hwrt
