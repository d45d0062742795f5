#include "bilinear.h"

#include <cmath>
#include <cstring>

#include "target.h"
#include "target_region.h"
#include "tensor_row.h"

namespace hwrt {
namespace {

using std::int16_t;
using std::int32_t;
using std::memcpy;
using std::ptrdiff_t;
using std::size_t;
using std::uint8_t;

// int16 elements from one pixel to the next where each has a place of its own: its channels, then
// those of its right neighbour.
constexpr ptrdiff_t kPlace = 8;
// Elements behind a row that may be read, though never used.
constexpr ptrdiff_t kSlack = 16;
// A row is read whole where fewer of its pixels than this go into a pixel of the result.
constexpr ptrdiff_t kFarApart = 4;
// What stands for a level of 1 in blended rows, and in sums of four bytes.
constexpr float kLevel = 128.0f, kSummedLevel = 4.0f;
// The largest whole ratio of which two pixels' bytes lie within 16.
constexpr ptrdiff_t kLargestRatio = 3;

struct Rows {
  const uint8_t* a;
  const uint8_t* b;
  ptrdiff_t count;  // bytes
};

struct Columns {
  const int32_t* offsets;  // of a pixel's left neighbour, in elements of the row
  const int16_t* weights;
  ptrdiff_t count;
  int channels;
  bool in_places;
};

// The rows to write, one a channel of the tensor in the order of the frame's channels.
struct Planes {
  float* rows[3];
  float scale[3];
  float bias[3];
  int count;
};

// A reduction by a whole ratio: each pixel is one of the source, or the mean of two neighbours.
struct Halving {
  int ratio;
  uint8_t order[16];  // as sum_pairs takes it
};

struct Variant {
  // out[i] = levels of the bytes a[i] and b[i], blended.
  void (*blend_rows)(const uint8_t* a, const uint8_t* b, int16_t weight, ptrdiff_t count,
                     int16_t* out);
  // The same for the pixel at each offset and its right neighbour, in a place of its own.
  void (*blend_places)(const Rows& rows, int16_t weight, const int32_t* offsets, ptrdiff_t count,
                       int16_t* out);
  // The planes' rows from the levels of a row.
  void (*blend_columns)(const int16_t* levels, const Columns& columns, const Planes& planes);
  // The same at once from two rows, of which each pixel is an even blend; a and b begin at the
  // first byte that is used.  The planes' scales are for four times a level.  False where it can
  // not.
  bool (*sum_columns)(const Rows& rows, const Halving& halving, ptrdiff_t count,
                      const Planes& planes);
};

namespace scalar {

int16_t level(uint8_t byte) { return static_cast<int16_t>(byte << 7); }

int16_t blend(int16_t a, int16_t b, int16_t weight) {
  return static_cast<int16_t>(a + (((b - a) * weight + 0x4000) >> 15));
}

void blend_rows(const uint8_t* a, const uint8_t* b, int16_t weight, ptrdiff_t count, int16_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) out[i] = blend(level(a[i]), level(b[i]), weight);
}

void blend_places(const Rows& rows, int16_t weight, const int32_t* offsets, ptrdiff_t count,
                  int16_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i, out += kPlace) {
    const ptrdiff_t left = rows.count - offsets[i];
    const ptrdiff_t readable = left < kPlace ? left : kPlace;
    blend_rows(rows.a + offsets[i], rows.b + offsets[i], weight, readable, out);
    for (ptrdiff_t j = readable; j < kPlace; ++j) out[j] = 0;
  }
}

void blend_columns(const int16_t* levels, const Columns& columns, const Planes& planes) {
  for (ptrdiff_t x = 0; x < columns.count; ++x) {
    const int16_t* place = levels + (columns.in_places ? x * kPlace : columns.offsets[x]);
    for (int p = 0; p < planes.count; ++p) {
      const int c = columns.channels == 1 ? 0 : p;
      const int16_t value = blend(place[c], place[c + columns.channels], columns.weights[x]);
      planes.rows[p][x] = static_cast<float>(value) * planes.scale[p] + planes.bias[p];
    }
  }
}

// The reference has one way for all ratios.
bool sum_columns(const Rows&, const Halving&, ptrdiff_t, const Planes&) { return false; }

constexpr Variant kVariant{blend_rows, blend_places, blend_columns, sum_columns};

}  // namespace scalar

#define HWRT_PASSES "passes/bilinear.inc"
#include "each_target.inc"

bool far_apart(const BilinearPlan& plan) {
  return !plan.whole_rows && plan.columns.source >= kFarApart * plan.columns.target;
}

ptrdiff_t levels_bytes(const BilinearPlan& plan) {
  return (bilinear_levels_count(plan) * ptrdiff_t{sizeof(int16_t)} + 63) / 64 * 64;
}

Columns columns_of(const BilinearPlan& plan) {
  return {plan.column_offset, plan.column_weight, plan.columns.count, plan.channels,
          far_apart(plan)};
}

// The bytes of a row that the columns need: from the first on, so many.  A crop needs only its
// middle.
struct Needed {
  ptrdiff_t from, count;
};

Needed needed_of(const Columns& columns, ptrdiff_t row_bytes) {
  const ptrdiff_t from = columns.offsets[0],
                  end = columns.offsets[columns.count - 1] + 2 * columns.channels;
  return {from, (end < row_bytes ? end : row_bytes) - from};
}

void clear_slack(const Columns& columns, const Needed& needed, int16_t* levels) {
  const ptrdiff_t used = columns.in_places ? columns.count * kPlace : needed.from + needed.count;
  std::memset(levels + used, 0, kSlack * sizeof(int16_t));
}

void blend_levels(const Variant& variant, const Rows& rows, int16_t weight, const Columns& columns,
                  const Needed& needed, int16_t* levels) {
  if (columns.in_places) {
    variant.blend_places(rows, weight, columns.offsets, columns.count, levels);
  } else {
    variant.blend_rows(rows.a + needed.from, rows.b + needed.from, weight, needed.count,
                       levels + needed.from);
  }
}

Rows rows_of(const Frame& frame, const BilinearPlan& plan, ptrdiff_t y) {
  const uint8_t* a = frame.row(plan.row_low[y]);
  const uint8_t* b = plan.row_weight[y] == 0 ? a : frame.row(plan.row_low[y] + 1);
  return {a, b, frame.width * frame.channels};
}

// True, and then halving is set, where the pixels of the result are means of one or two by two of
// the frame's.
bool halves(const BilinearPlan& plan, Halving* halving) {
  const ptrdiff_t ratio = plan.columns.source / plan.columns.target;
  if (plan.channels != 3 || ratio < 1 || ratio > kLargestRatio ||
      ratio * plan.columns.target != plan.columns.source ||
      plan.rows.source % plan.rows.target != 0) {
    return false;
  }
  halving->ratio = static_cast<int>(ratio);
  for (int i = 0; i < 16; ++i) {
    const int byte = i % 2, pixel = i / 2 % 2, channel = i / 4;
    // An odd ratio has a pixel in the middle, which counts twice.
    const int at = pixel * 3 * halving->ratio + (ratio % 2 == 0 ? byte * 3 : 0) + channel;
    halving->order[i] = static_cast<uint8_t>(channel < 3 ? at : 0x80);
  }
  return true;
}

// one: what stands for a level of 1 in the values that are normalised.
Planes make_planes(const Normalisation& normalisation, const Tensor& tensor, float one) {
  Planes planes{};
  planes.count = tensor.channels;
  for (int p = 0; p < planes.count; ++p) {
    const int c = normalisation.reversed ? planes.count - 1 - p : p;
    planes.scale[p] = normalisation.scale[c] / one;
    planes.bias[p] = normalisation.bias[c];
  }
  return planes;
}

}  // namespace

void bilinear_taps(const Span& span, int32_t* low, int16_t* weight) noexcept {
  const double step = static_cast<double>(span.source) / static_cast<double>(span.target);
  const double last = static_cast<double>(span.source - 1);
  for (ptrdiff_t i = 0; i < span.count; ++i) {
    double centre = (static_cast<double>(span.start + i) + 0.5) * step - 0.5;
    centre = centre < 0.0 ? 0.0 : centre > last ? last : centre;
    const double floor = std::floor(centre);
    low[i] = static_cast<int32_t>(floor);
    const long rounded = std::lround((centre - floor) * 32768.0);
    if (rounded == 32768) ++low[i];  // 1 is no int16 of 15 bits: it is the neighbour's 0
    weight[i] = static_cast<int16_t>(rounded == 32768 ? 0 : rounded);
  }
}

ptrdiff_t bilinear_scratch_size(const BilinearPlan& plan) noexcept {
  return levels_bytes(plan) + 3 * padded_count(plan.columns.count) * ptrdiff_t{sizeof(float)};
}

void bilinear(const Frame& frame, const BilinearPlan& plan, const Normalisation& normalisation,
              const Tensor& tensor, ptrdiff_t first, ptrdiff_t last, void* scratch) noexcept {
  const Variant variant = current_variant();
  const Columns columns = columns_of(plan);
  Planes planes = make_planes(normalisation, tensor, kLevel);
  Planes summed = make_planes(normalisation, tensor, kSummedLevel);
  Halving halving{};
  const bool even = halves(plan, &halving);
  int16_t* levels = static_cast<int16_t*>(scratch);
  float* kept = reinterpret_cast<float*>(static_cast<char*>(scratch) + levels_bytes(plan));
  const Needed needed = needed_of(columns, frame.width * frame.channels);
  clear_slack(columns, needed, levels);

  for (ptrdiff_t y = first; y < last; ++y) {
    const Rows whole = rows_of(frame, plan, y);
    float* rows[3];
    const bool direct = direct_rows(tensor, y, rows);
    for (int c = 0; c < tensor.channels && !direct; ++c) {
      rows[c] = kept + c * padded_count(columns.count);
    }
    for (int p = 0; p < planes.count; ++p) {
      summed.rows[p] = planes.rows[p] = rows[normalisation.reversed ? planes.count - 1 - p : p];
    }
    const Rows used_rows{whole.a + needed.from, whole.b + needed.from, whole.count - needed.from};
    if (!even || !variant.sum_columns(used_rows, halving, columns.count, summed)) {
      blend_levels(variant, whole, plan.row_weight[y], columns, needed, levels);
      variant.blend_columns(levels, columns, planes);
    }
    if (!direct) store_row(rows, tensor, y);
  }
}

ptrdiff_t bilinear_levels_count(const BilinearPlan& plan) noexcept {
  const ptrdiff_t elements =
      far_apart(plan) ? plan.columns.count * kPlace : plan.columns.source * plan.channels;
  return elements + kSlack;
}

void bilinear_levels(const Frame& frame, const BilinearPlan& plan, ptrdiff_t y,
                     int16_t* levels) noexcept {
  const Columns columns = columns_of(plan);
  const Rows rows = rows_of(frame, plan, y);
  const Needed needed = plan.whole_rows ? Needed{0, rows.count} : needed_of(columns, rows.count);
  clear_slack(columns, needed, levels);
  blend_levels(current_variant(), rows, plan.row_weight[y], columns, needed, levels);
}

void bilinear_columns(const int16_t* levels, const BilinearPlan& plan, int count,
                      float* const rows[]) noexcept {
  Planes planes{};
  planes.count = count;
  for (int p = 0; p < count; ++p) {
    planes.rows[p] = rows[p];
    planes.scale[p] = 1.0f / kLevel;
  }
  current_variant().blend_columns(levels, columns_of(plan), planes);
}

}  // namespace hwrt
