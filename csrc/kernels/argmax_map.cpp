#include "argmax_map.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "target.h"
#include "target_region.h"

namespace hwrt {
namespace {

using std::int32_t;
using std::ptrdiff_t;
using std::size_t;
using std::uint8_t;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Of two numbers within it, the difference is no infinity.
constexpr float kMost = 1e38f;
// Classes that are looked at together, their best being kept in registers.
constexpr ptrdiff_t kGroup = 8;
// Pixels whose best are kept in the first cache.
constexpr ptrdiff_t kTogether = 1024;

// Rows of scores, one a class from first_class on: that of class first_class + i begins at
// data + i * stride.
struct Rows {
  const float* data;
  ptrdiff_t stride;
  ptrdiff_t first_class;
  ptrdiff_t count;  // 1..kGroup
};

// Where the pixels of a resized row lie; padded to whole vectors.
struct Columns {
  const int32_t* low;
  const float* weights;
  ptrdiff_t count;
};

struct Variant {
  // out[i] = a[i] and b[i], held within +-kMost, blended.
  void (*blend)(const float* a, const float* b, float weight, ptrdiff_t count, float* out);
  // best[i] and found[i] become those of the rows where these have a higher score; with the first
  // class they begin.
  void (*best_of_rows)(const Rows& rows, ptrdiff_t count, float* best, float* found);
  // The same of resized rows; it may go on to the end of the last vector.
  void (*best_of_resized)(const Rows& rows, const Columns& columns, float* best, float* found);
  // out[i] = found[i], a whole number 0..255.
  void (*store_classes)(const float* found, ptrdiff_t count, uint8_t* out);
  // The classes of pixels whose scores lie together.
  void (*classes_of)(const float* pixels, ptrdiff_t classes, ptrdiff_t count, uint8_t* out);
  // The same of a resized row; pixel has room for the scores of one.
  void (*classes_of_resized)(const float* row, ptrdiff_t classes, const Columns& columns,
                             float* pixel, uint8_t* out);
};

namespace scalar {

float held(float score) {
  const float most = score < kMost ? score : kMost;
  return score > -kMost ? most : -kMost;  // NaN too
}

float between(float a, float b, float weight) { return a + (b - a) * weight; }

void blend(const float* a, const float* b, float weight, ptrdiff_t count, float* out) {
  for (ptrdiff_t i = 0; i < count; ++i) out[i] = between(held(a[i]), held(b[i]), weight);
}

void offer(float score, ptrdiff_t number, float* best, float* found) {
  if (score > *best) {  // never NaN
    *best = score;
    *found = static_cast<float>(number);
  }
}

void best_of_rows(const Rows& rows, ptrdiff_t count, float* best, float* found) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    if (rows.first_class == 0) best[i] = -kInfinity, found[i] = 0.0f;
    for (ptrdiff_t c = 0; c < rows.count; ++c) {
      offer(rows.data[c * rows.stride + i], rows.first_class + c, best + i, found + i);
    }
  }
}

void best_of_resized(const Rows& rows, const Columns& columns, float* best, float* found) {
  for (ptrdiff_t i = 0; i < columns.count; ++i) {
    if (rows.first_class == 0) best[i] = -kInfinity, found[i] = 0.0f;
    for (ptrdiff_t c = 0; c < rows.count; ++c) {
      const float* at = rows.data + c * rows.stride + columns.low[i];
      offer(between(at[0], at[1], columns.weights[i]), rows.first_class + c, best + i, found + i);
    }
  }
}

void store_classes(const float* found, ptrdiff_t count, uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(found[i]);
}

uint8_t class_of(const float* pixel, ptrdiff_t classes) {
  float best = -kInfinity;
  ptrdiff_t found = 0;
  for (ptrdiff_t c = 0; c < classes; ++c) {
    if (pixel[c] > best) best = pixel[c], found = c;
  }
  return static_cast<uint8_t>(found);
}

void classes_of(const float* pixels, ptrdiff_t classes, ptrdiff_t count, uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) out[i] = class_of(pixels + i * classes, classes);
}

void classes_of_resized(const float* row, ptrdiff_t classes, const Columns& columns, float* pixel,
                        uint8_t* out) {
  for (ptrdiff_t i = 0; i < columns.count; ++i) {
    const float* at = row + columns.low[i] * classes;
    for (ptrdiff_t c = 0; c < classes; ++c) {
      pixel[c] = between(at[c], at[classes + c], columns.weights[i]);
    }
    out[i] = class_of(pixel, classes);
  }
}

constexpr Variant kVariant{blend,         best_of_rows, best_of_resized,
                           store_classes, classes_of,   classes_of_resized};

}  // namespace scalar

#define HWRT_PASSES "passes/argmax_map.inc"
#include "each_target.inc"

bool is_planar(const ScoreMap& map) { return map.pixel_stride == 1; }

// Floats of a group's blended rows, each with one more pixel and a whole number of vectors.
ptrdiff_t group_stride(const ScoreMap& map) { return padded_columns(map.width + 1); }

Rows group_of(const ScoreMap& map, const float* data, ptrdiff_t stride, ptrdiff_t first_class) {
  const ptrdiff_t left = map.classes - first_class;
  return {data, stride, first_class, left < kGroup ? left : kGroup};
}

// The row of the map that is a blend of two; in out, with its last pixel twice.
void blend_row(const Variant& variant, const ScoreMap& map, const MapTaps& taps, ptrdiff_t y,
               ptrdiff_t class_number, ptrdiff_t pixel_size, float* out) {
  const float weight = taps.row_weight[y];
  const float* a = map.data + taps.row_low[y] * map.row_stride + class_number * map.class_stride;
  const ptrdiff_t count = map.width * pixel_size;
  variant.blend(a, weight == 0.0f ? a : a + map.row_stride, weight, count, out);
  std::memcpy(out + count, out + count - pixel_size,
              static_cast<size_t>(pixel_size) * sizeof(float));
}

void resized_planes(const Variant& variant, const ScoreMap& map, const MapTaps& taps, ptrdiff_t y,
                    uint8_t* out, float* memory) {
  const ptrdiff_t stride = group_stride(map), padded = padded_columns(taps.columns);
  float *best = memory + kGroup * stride, *found = best + padded;
  for (ptrdiff_t first = 0; first < map.classes; first += kGroup) {
    const Rows rows = group_of(map, memory, stride, first);
    for (ptrdiff_t c = 0; c < rows.count; ++c) {
      blend_row(variant, map, taps, y, first + c, 1, memory + c * stride);
    }
    variant.best_of_resized(rows, {taps.column_low, taps.column_weight, taps.columns}, best, found);
  }
  variant.store_classes(found, taps.columns, out);
}

}  // namespace

void map_taps(const MapSpan& span, int32_t* low, float* weight) noexcept {
  const double step = span.extent / static_cast<double>(span.count);
  const double end = static_cast<double>(span.source - 1);
  double least = span.begin, most = span.begin + span.extent - 1.0;
  if (most < least) least = most = (least + most) / 2.0;  // less than a pixel
  for (ptrdiff_t i = 0; i < span.count; ++i) {
    double centre = (static_cast<double>(i) + 0.5) * step + span.begin - 0.5;
    centre = centre < least ? least : centre > most ? most : centre;
    centre = centre < 0.0 ? 0.0 : centre > end ? end : centre;
    const double floor = std::floor(centre);
    low[i] = static_cast<int32_t>(floor);
    weight[i] = static_cast<float>(centre - floor);
  }
}

ptrdiff_t argmax_map_scratch_size(const ScoreMap& map, ptrdiff_t columns) noexcept {
  const ptrdiff_t kept = columns > kTogether ? padded_columns(columns) : kTogether;
  const ptrdiff_t rows =
      is_planar(map) ? kGroup * group_stride(map) : padded_columns((map.width + 2) * map.classes);
  return (rows + 2 * kept) * ptrdiff_t{sizeof(float)};
}

void argmax_map(const ScoreMap& map, ptrdiff_t first, ptrdiff_t last, uint8_t* out,
                void* scratch) noexcept {
  const Variant variant = current_variant();
  float *best = static_cast<float*>(scratch), *found = best + kTogether;
  for (ptrdiff_t y = first; y < last; ++y) {
    const float* row = map.data + y * map.row_stride;
    uint8_t* to = out + y * map.width;
    if (!is_planar(map)) {
      variant.classes_of(row, map.classes, map.width, to);
      continue;
    }
    for (ptrdiff_t x = 0; x < map.width; x += kTogether) {
      const ptrdiff_t count = map.width - x < kTogether ? map.width - x : kTogether;
      for (ptrdiff_t c = 0; c < map.classes; c += kGroup) {
        const float* data = row + x + c * map.class_stride;
        variant.best_of_rows(group_of(map, data, map.class_stride, c), count, best, found);
      }
      variant.store_classes(found, count, to + x);
    }
  }
}

void resized_argmax_map(const ScoreMap& map, const MapTaps& taps, ptrdiff_t first, ptrdiff_t last,
                        uint8_t* out, void* scratch) noexcept {
  const Variant variant = current_variant();
  float* memory = static_cast<float*>(scratch);
  for (ptrdiff_t y = first; y < last; ++y) {
    uint8_t* to = out + y * taps.columns;
    if (is_planar(map)) {
      resized_planes(variant, map, taps, y, to, memory);
      continue;
    }
    blend_row(variant, map, taps, y, 0, map.classes, memory);
    variant.classes_of_resized(memory, map.classes,
                               {taps.column_low, taps.column_weight, taps.columns},
                               memory + (map.width + 1) * map.classes, to);
  }
}

}  // namespace hwrt
