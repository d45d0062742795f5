#include "kept_boxes.h"

#include <cmath>

#include "target.h"
#include "target_region.h"

namespace hwrt {
namespace {

using std::int32_t;
using std::ptrdiff_t;

using Columns = KeptBoxes::Columns;

constexpr int kColumns = 7;
constexpr ptrdiff_t kWidest = 16;  // lanes of the widest target
constexpr float kNoGroup = -1.0f;

// One box's numbers in float32.
struct Candidate {
  float x0, y0, x1, y1, area, margin, group;
};

// The boxes kept so far.
struct Kept {
  const Columns& columns;
  const Box* boxes;
  ptrdiff_t count;
};

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
Candidate in_float32(const Box& box, int32_t group) {
  constexpr double kMargin = 1e-6, kLeast = 1e-30, kMost = 1e37;
  const double* c = box.corners;
  const double reach = std::fabs(c[0]) + std::fabs(c[1]) + std::fabs(c[2]) + std::fabs(c[3]);
  const double area = area_of(box), sides = side(c[0], c[2]) + side(c[1], c[3]);
  const double margin = area > kMost ? HUGE_VAL : kMargin * (area + reach * sides) + kLeast;
  return {static_cast<float>(c[0]), static_cast<float>(c[1]), static_cast<float>(c[2]),
          static_cast<float>(c[3]), static_cast<float>(area), static_cast<float>(margin),
          static_cast<float>(group)};
}

namespace scalar {

bool any_overlaps(const Kept& kept, const Box& box, const Candidate& candidate, double iou) {
  for (ptrdiff_t i = 0; i < kept.count; ++i) {
    if (kept.columns.group[i] == candidate.group && overlap(kept.boxes[i], box, iou)) return true;
  }
  return false;
}

}  // namespace scalar

#if defined(HWRT_X86)
HWRT_TARGET_BEGIN(sse4)
namespace sse4 {
#include "lanes/sse4.inc"
#include "passes/kept_boxes.inc"
}  // namespace sse4
HWRT_TARGET_END

HWRT_TARGET_BEGIN(avx2)
namespace avx2 {
#include "lanes/avx2.inc"
#include "passes/kept_boxes.inc"
}  // namespace avx2
HWRT_TARGET_END
#elif defined(HWRT_ARM)
HWRT_TARGET_BEGIN(neon)
namespace neon {
#include "lanes/neon.inc"
#include "passes/kept_boxes.inc"
}  // namespace neon
HWRT_TARGET_END
#endif

// True where a kept box of the candidate's group overlaps it.
using AnyOverlaps = bool (*)(const Kept& kept, const Box& box, const Candidate& candidate,
                             double iou);

AnyOverlaps current_variant() {
  switch (current_target()) {
#if defined(HWRT_X86)
    case Target::kAvx512:
    case Target::kAvx2:
      return avx2::any_overlaps;
    case Target::kSse4:
      return sse4::any_overlaps;
#elif defined(HWRT_ARM)
    case Target::kNeon:
      return neon::any_overlaps;
#endif
    default:
      return scalar::any_overlaps;
  }
}

ptrdiff_t padded(ptrdiff_t capacity) { return (capacity + kWidest - 1) / kWidest * kWidest; }

}  // namespace

ptrdiff_t kept_boxes_size(ptrdiff_t capacity) noexcept {
  return padded(capacity) * ptrdiff_t{kColumns * sizeof(float) + sizeof(Box)};
}

KeptBoxes::KeptBoxes(void* memory, ptrdiff_t capacity, double iou) noexcept : iou_(iou) {
  const ptrdiff_t size = padded(capacity);
  boxes_ = static_cast<Box*>(memory);
  float* floats = reinterpret_cast<float*>(boxes_ + size);
  columns_ = {floats,
              floats + size,
              floats + 2 * size,
              floats + 3 * size,
              floats + 4 * size,
              floats + 5 * size,
              floats + 6 * size};
}

bool KeptBoxes::offer(const Box& box, int32_t group) noexcept {
  const Candidate candidate = in_float32(box, group);
  if (current_variant()({columns_, boxes_, count_}, box, candidate, iou_)) return false;
  if (count_ % kWidest ==
      0) {  // whole vectors are read: what lies behind the last box is of no group
    for (ptrdiff_t i = count_; i < count_ + kWidest; ++i) {
      columns_.x0[i] = columns_.y0[i] = columns_.x1[i] = columns_.y1[i] = 0.0f;
      columns_.area[i] = columns_.margin[i] = 0.0f;
      columns_.group[i] = kNoGroup;
    }
  }
  columns_.x0[count_] = candidate.x0;
  columns_.y0[count_] = candidate.y0;
  columns_.x1[count_] = candidate.x1;
  columns_.y1[count_] = candidate.y1;
  columns_.area[count_] = candidate.area;
  columns_.margin[count_] = candidate.margin;
  columns_.group[count_] = candidate.group;
  boxes_[count_++] = box;
  return true;
}

}  // namespace hwrt
