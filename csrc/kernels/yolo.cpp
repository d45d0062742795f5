#include "yolo.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kept_boxes.h"
#include "ranking.h"
#include "target.h"
#include "target_region.h"

namespace hwrt {
namespace {

using std::int32_t;
using std::int8_t;
using std::memcpy;
using std::ptrdiff_t;
using std::uint64_t;
using std::uint8_t;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Anchors looked at together: their scores stay in the second cache between the passes.
constexpr ptrdiff_t kTogether = 512;
// Classes whose best score is remembered, so that the best class is found without looking at all.
constexpr ptrdiff_t kGroup = 8;
// Where one anchor in so many survived, the classes of the next ones are found with their scores:
// that is less than looking for each.
constexpr ptrdiff_t kManyShare = 12;
// Numbers in front of the scores: the box.
constexpr ptrdiff_t kBoxNumbers = 4;

// Anchors above the threshold, by rising number.
struct Candidates {
  float* scores;
  int32_t* anchors;
  int32_t* classes;
  ptrdiff_t count;

  void add(float score, ptrdiff_t anchor, ptrdiff_t best_class) {
    scores[count] = score;
    anchors[count] = static_cast<int32_t>(anchor);
    classes[count++] = static_cast<int32_t>(best_class);
  }
};

// The scores of `count` anchors side by side, from number `first` on; a row a class.
struct Block {
  const char* data;
  HeadElement element;
  ptrdiff_t row_stride;
  ptrdiff_t rows;
  ptrdiff_t first;
  ptrdiff_t count;
};

float stored_number(HeadElement element, const char* p) {
  switch (element) {
    case HeadElement::kUint8:
      return static_cast<float>(*reinterpret_cast<const uint8_t*>(p));
    case HeadElement::kInt8:
      return static_cast<float>(*reinterpret_cast<const int8_t*>(p));
    default: {
      float number;
      memcpy(&number, p, sizeof number);
      return number;
    }
  }
}

ptrdiff_t size_of(HeadElement element) { return element == HeadElement::kFloat32 ? 4 : 1; }

struct Variant {
  // groups[g * kTogether + i] = the best score of anchor i among kGroup classes from g * kGroup on;
  // best[i] that of all.
  void (*best_of_block)(const Block& block, float* groups, float* best);
  // The best score of each anchor, and the first class that has it; 0 where all are NaN.
  void (*best_and_class)(const Block& block, float* best, float* best_class);
  // Adds the block's anchors whose best is above `least`, with the first class that has it.
  void (*survivors)(const Block& block, const float* groups, const float* best, float least,
                    Candidates& out);
  // The largest of the row; -inf where all are NaN.
  float (*best_in_row)(const float* row, ptrdiff_t count);
};

namespace scalar {

// group[i] = the best of `rows` numbers that lie above each other, from anchor i of the block on;
// -inf where all are NaN.
void best_of_group(const Block& block, ptrdiff_t i, const char* p, ptrdiff_t rows, float* group) {
  const ptrdiff_t size = size_of(block.element);
  for (; i < block.count; ++i) {
    group[i] = -kInfinity;
    for (ptrdiff_t row = 0; row < rows; ++row) {
      const float number = stored_number(block.element, p + i * size + row * block.row_stride);
      group[i] = number > group[i] ? number : group[i];  // a NaN is greater than nothing
    }
  }
}

void best_of_block(const Block& block, float* groups, float* best) {
  for (ptrdiff_t row = 0; row < block.rows; row += kGroup, groups += kTogether) {
    const ptrdiff_t rows = std::min(kGroup, block.rows - row);
    best_of_group(block, 0, block.data + row * block.row_stride, rows, groups);
    for (ptrdiff_t i = 0; i < block.count; ++i) {
      best[i] = row == 0 || groups[i] > best[i] ? groups[i] : best[i];
    }
  }
}

// The best score of each anchor from number `i` of the block on, and the first class that has it.
void best_and_class_from(ptrdiff_t i, const Block& block, float* best, float* best_class) {
  const ptrdiff_t size = size_of(block.element);
  for (; i < block.count; ++i) {
    best[i] = -kInfinity;
    best_class[i] = 0.0f;
    for (ptrdiff_t row = 0; row < block.rows; ++row) {
      const float number =
          stored_number(block.element, block.data + row * block.row_stride + i * size);
      if (!(number > best[i])) continue;  // a NaN is greater than nothing
      best[i] = number;
      best_class[i] = static_cast<float>(row);
    }
  }
}

void best_and_class(const Block& block, float* best, float* best_class) {
  best_and_class_from(0, block, best, best_class);
}

// The first of `rows` numbers above each other that is `best`; there is one.  Without a branch for
// what was found: it can not be foretold.
template <typename T>
ptrdiff_t first_row(const char* p, ptrdiff_t row_stride, ptrdiff_t rows, float best) {
  ptrdiff_t first = 0;
  for (ptrdiff_t row = rows; row-- > 0;) {
    T number;
    memcpy(&number, p + row * row_stride, sizeof number);
    first = static_cast<float>(number) == best ? row : first;
  }
  return first;
}

// Adds anchor i of the block, whose best class is in this group.
void add_survivor(const Block& block, ptrdiff_t i, float best, ptrdiff_t group, Candidates& out) {
  const ptrdiff_t begin = group * kGroup, rows = std::min(kGroup, block.rows - begin);
  const char* p = block.data + i * size_of(block.element) + begin * block.row_stride;
  const ptrdiff_t row =
      block.element == HeadElement::kFloat32 ? first_row<float>(p, block.row_stride, rows, best)
      : block.element == HeadElement::kUint8 ? first_row<uint8_t>(p, block.row_stride, rows, best)
                                             : first_row<int8_t>(p, block.row_stride, rows, best);
  out.add(best, block.first + i, begin + row);
}

// Adds the anchors from number `i` of the block on.
void survivors_from(ptrdiff_t i, const Block& block, const float* groups, const float* best,
                    float least, Candidates& out) {
  for (; i < block.count; ++i) {
    if (!(best[i] > least)) continue;
    ptrdiff_t group = 0;
    while (groups[group * kTogether + i] != best[i]) ++group;
    add_survivor(block, i, best[i], group, out);
  }
}

void survivors(const Block& block, const float* groups, const float* best, float least,
               Candidates& out) {
  survivors_from(0, block, groups, best, least, out);
}

float best_in_row(const float* row, ptrdiff_t count) {
  float best = -kInfinity;
  for (ptrdiff_t i = 0; i < count; ++i) best = row[i] > best ? row[i] : best;
  return best;
}

constexpr Variant kVariant{best_of_block, best_and_class, survivors, best_in_row};

}  // namespace scalar

#define HWRT_PASSES "passes/yolo.inc"
#include "each_target.inc"

// What a stored number stands for.
float number_of(const YoloHead& head, float stored) {
  return head.element == HeadElement::kFloat32 ? stored : (stored - head.zero_point) * head.scale;
}

float number_at(const YoloHead& head, ptrdiff_t anchor, ptrdiff_t i) {
  const char* p = static_cast<const char*>(head.data) + i * head.number_stride;
  return number_of(head, stored_number(head.element, p + anchor * head.anchor_stride));
}

// The largest stored number that stands for no more than conf: -1000 where there is none.
float stored_threshold(const YoloHead& head, float conf) {
  if (head.element == HeadElement::kFloat32) return conf;
  const int low = head.element == HeadElement::kUint8 ? 0 : -128;
  float threshold = -1000.0f;
  for (int q = low; q < low + 256; ++q) {
    if (number_of(head, static_cast<float>(q)) <= conf) threshold = static_cast<float>(q);
  }
  return threshold;
}

// Anchors side by side: the scores of a class are a row.
void collect_from_rows(const YoloHead& head, float conf, float* groups, float* best,
                       Candidates& found) {
  const Variant variant = current_variant();
  const float least = stored_threshold(head, conf);
  const char* scores = static_cast<const char*>(head.data) + kBoxNumbers * head.number_stride;
  bool many = false;
  for (ptrdiff_t first = 0; first < head.anchors; first += kTogether) {
    const ptrdiff_t count = std::min(kTogether, head.anchors - first);
    const Block block{scores + first * head.anchor_stride,
                      head.element,
                      head.number_stride,
                      head.classes,
                      first,
                      count};
    const ptrdiff_t before = found.count;
    if (many) {
      variant.best_and_class(block, best, groups);
      for (ptrdiff_t i = 0; i < count; ++i) {
        // Written in any case and kept where it counts: a branch could not be foretold.
        found.add(best[i], first + i, static_cast<ptrdiff_t>(groups[i]));
        found.count -= best[i] > least ? 0 : 1;
      }
    } else {
      variant.best_of_block(block, groups, best);
      variant.survivors(block, groups, best, least, found);
    }
    many = (found.count - before) * kManyShare > count;
  }
  for (ptrdiff_t i = 0; i < found.count; ++i) found.scores[i] = number_of(head, found.scores[i]);
}

// The numbers of an anchor side by side.
void collect_from_anchors(const YoloHead& head, float conf, float* numbers, Candidates& found) {
  const Variant variant = current_variant();
  const ptrdiff_t begin = kBoxNumbers + (head.objectness ? 1 : 0);
  const bool stored_floats = head.element == HeadElement::kFloat32;
  for (ptrdiff_t anchor = 0; anchor < head.anchors; ++anchor) {
    const float objectness = head.objectness ? number_at(head, anchor, kBoxNumbers) : 1.0f;
    if (!(objectness > conf) && head.objectness) continue;
    float score = -kInfinity;
    ptrdiff_t best_class = 0;
    for (ptrdiff_t c = 0; c < head.classes; c += kTogether) {
      const ptrdiff_t count = std::min(kTogether, head.classes - c);
      const float* row = reinterpret_cast<const float*>(static_cast<const char*>(head.data) +
                                                        anchor * head.anchor_stride) +
                         begin + c;
      if (!stored_floats) {
        for (ptrdiff_t i = 0; i < count; ++i) numbers[i] = number_at(head, anchor, begin + c + i);
        row = numbers;
      }
      const float best = variant.best_in_row(row, count);
      if (!(best > score)) continue;
      score = best;
      ptrdiff_t i = 0;
      while (row[i] != best) ++i;
      best_class = c + i;
    }
    score *= objectness;
    if (score > conf) found.add(score, anchor, best_class);
  }
}

// Sets box and returns true, or false where a corner is NaN.
bool box_of(const YoloHead& head, const BoxMap& map, ptrdiff_t anchor, Box* box) {
  const float numbers[4] = {
      number_at(head, anchor, 0) * map.unit[0], number_at(head, anchor, 1) * map.unit[1],
      number_at(head, anchor, 2) * map.unit[0], number_at(head, anchor, 3) * map.unit[1]};
  bool valid = true;
  for (int i = 0; i < 4; ++i) {
    const double centre = numbers[i % 2], half = static_cast<double>(numbers[2 + i % 2]) / 2.0;
    box->corners[i] = i < 2 ? centre - half : centre + half;
    valid = valid && !std::isnan(box->corners[i]);
  }
  return valid;
}

void write_box(const Box& box, const BoxMap& map, float* out) {
  for (int i = 0; i < 4; ++i) {
    const int axis = i % 2;
    double value = box.corners[i];
    if (map.bounded) {
      value = (value - map.pad[axis]) / map.scale[axis];
      value = value < 0.0 ? 0.0 : value > map.limit[axis] ? map.limit[axis] : value;
    }
    out[i] = static_cast<float>(value);
  }
}

ptrdiff_t group_count(ptrdiff_t classes) { return (classes + kGroup - 1) / kGroup; }

ptrdiff_t in_lines(ptrdiff_t bytes) { return (bytes + 63) / 64 * 64; }

// Hands out parts of the scratch memory.
struct Parts {
  char* next;

  template <typename T>
  T* take(ptrdiff_t count) {
    T* part = reinterpret_cast<T*>(next);
    next += in_lines(count * ptrdiff_t{sizeof(T)});
    return part;
  }
};

}  // namespace

ptrdiff_t yolo_scratch_size(const YoloHead& head, ptrdiff_t max_det) noexcept {
  const ptrdiff_t anchors = head.anchors, kept = kept_boxes_size(std::min(anchors, max_det));
  return in_lines(kept) + in_lines((group_count(head.classes) + 1) * kTogether * 4) +
         in_lines(Ranking::kEnds * 4) + 3 * in_lines(anchors * 4) + in_lines(anchors * 8);
}

ptrdiff_t yolo_detections(const YoloHead& head, const YoloThresholds& thresholds, const BoxMap& map,
                          const YoloDetections& out, void* scratch) noexcept {
  const ptrdiff_t most = std::min(head.anchors, thresholds.max_det);
  if (most == 0) return 0;
  Parts parts{static_cast<char*>(scratch)};
  void* kept_memory = parts.take<char>(kept_boxes_size(most));
  float* groups = parts.take<float>(group_count(head.classes) * kTogether);
  float* best = parts.take<float>(kTogether);
  int32_t* ends = parts.take<int32_t>(Ranking::kEnds);
  Candidates found{parts.take<float>(head.anchors), parts.take<int32_t>(head.anchors),
                   parts.take<int32_t>(head.anchors), 0};
  if (head.anchor_stride == size_of(head.element) && !head.objectness) {
    collect_from_rows(head, thresholds.conf, groups, best, found);
  } else {
    collect_from_anchors(head, thresholds.conf, best, found);
  }

  Ranking ranking(found.scores, found.count, parts.take<uint64_t>(head.anchors), ends);
  KeptBoxes kept(kept_memory, thresholds.iou);
  for (ptrdiff_t seen = 0; seen < found.count && kept.count() < most; ++seen) {
    const ptrdiff_t i = ranking.next();
    Box box;
    if (!box_of(head, map, found.anchors[i], &box)) continue;
    const ptrdiff_t place = kept.count();
    if (!kept.offer(box, thresholds.class_agnostic ? 0 : found.classes[i])) continue;
    write_box(box, map, out.boxes + 4 * place);
    out.scores[place] = found.scores[i];
    out.classes[place] = found.classes[i];
  }
  return kept.count();
}

}  // namespace hwrt
