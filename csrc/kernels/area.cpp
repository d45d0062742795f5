#include "area.h"

#include <cmath>

#include "target.h"
#include "target_region.h"
#include "tensor_row.h"

namespace hwrt {
namespace {

using std::int16_t;
using std::int32_t;
using std::int64_t;
using std::ptrdiff_t;
using std::uint8_t;

// Floats behind a row that may be read and written.
constexpr ptrdiff_t kSlack = 16;
// Pixels that are summed in float32; of more, the rounding of each sum would add up.
constexpr int32_t kMostInFloat32 = 128;

struct Variant {
  // out[i] = the tap's sum over rows that begin at from, row_stride bytes apart.
  void (*sum_rows)(const uint8_t* from, ptrdiff_t row_stride, const AreaTap& tap, ptrdiff_t count,
                   float* out);
  // levels[c][x] = tap x's sum over the pixels of the row.
  void (*sum_columns)(const float* sums, const AreaTap* taps, ptrdiff_t count, int channels,
                      float* const levels[3]);
  void (*normalise)(const float* in, ptrdiff_t count, float scale, float bias, float* out);
};

namespace scalar {

void sum_rows(const uint8_t* from, ptrdiff_t row_stride, const AreaTap& tap, ptrdiff_t count,
              float* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    int64_t whole = 0;
    for (ptrdiff_t row = 1; row < tap.count - 1; ++row) whole += from[i + row * row_stride];
    float sum = static_cast<float>(from[i]) * tap.first + static_cast<float>(whole);
    if (tap.count > 1) sum += static_cast<float>(from[i + (tap.count - 1) * row_stride]) * tap.last;
    out[i] = sum;
  }
}

void sum_columns(const float* sums, const AreaTap* taps, ptrdiff_t count, int channels,
                 float* const levels[3]) {
  for (ptrdiff_t x = 0; x < count; ++x) {
    const AreaTap& tap = taps[x];
    const float* from = sums + channels * tap.begin;
    for (int c = 0; c < channels; ++c) {
      double sum = static_cast<double>(from[c]) * static_cast<double>(tap.first);
      for (ptrdiff_t i = 1; i < tap.count - 1; ++i) {
        sum += static_cast<double>(from[i * channels + c]);
      }
      if (tap.count > 1) {
        sum += static_cast<double>(from[(tap.count - 1) * channels + c]) *
               static_cast<double>(tap.last);
      }
      levels[c][x] = static_cast<float>(sum);
    }
  }
}

void normalise(const float* in, ptrdiff_t count, float scale, float bias, float* out) {
  for (ptrdiff_t i = 0; i < count; ++i) out[i] = in[i] * scale + bias;
}

constexpr Variant kVariant{sum_rows, sum_columns, normalise};

}  // namespace scalar

#define HWRT_PASSES "passes/area.inc"
#include "each_target.inc"

ptrdiff_t row_size(ptrdiff_t count) { return (count + kSlack + 15) / 16 * 16; }

void interpolate(const Span& span, AreaTap* taps) {
  const double step = static_cast<double>(span.source) / static_cast<double>(span.target);
  const double end = static_cast<double>(span.source - 1);
  for (ptrdiff_t i = 0; i < span.count; ++i) {
    double centre = (static_cast<double>(span.start + i) + 0.5) * step - 0.5;
    centre = centre < 0.0 ? 0.0 : centre > end ? end : centre;
    const double floor = std::floor(centre);
    const float weight = static_cast<float>(centre - floor);
    taps[i] = {static_cast<int32_t>(floor), floor < end ? 2 : 1, 1.0f - weight, weight};
  }
}

// Pixel i covers i * source / target up to (i + 1) * source / target; the parts are exact
// fractions.
void average(const Span& span, AreaTap* taps) {
  for (ptrdiff_t i = 0; i < span.count; ++i) {
    const int64_t from = int64_t{span.start + i} * span.source, to = from + span.source;
    const int64_t begin = from / span.target, end = to / span.target;  // end is the pixel cut last
    const double before =
        static_cast<double>(from % span.target) / static_cast<double>(span.target);
    const double after = static_cast<double>(to % span.target) / static_cast<double>(span.target);
    const bool whole = to % span.target == 0;  // nothing of the pixel `end` is in
    const int32_t count = static_cast<int32_t>(end - begin + (whole ? 0 : 1));
    taps[i] = {static_cast<int32_t>(begin), count, static_cast<float>(1.0 - before),
               whole ? 1.0f : static_cast<float>(after)};
  }
}

}  // namespace

float area_taps(const Span& span, AreaTap* taps) noexcept {
  if (span.target >= span.source) {
    interpolate(span, taps);
    return 1.0f;
  }
  average(span, taps);
  return static_cast<float>(static_cast<double>(span.target) / static_cast<double>(span.source));
}

ptrdiff_t area_scratch_size(const AreaPlan& plan) noexcept {
  const ptrdiff_t floats =
      row_size(plan.columns.source * plan.channels) + 6 * row_size(plan.columns.count);
  return floats * ptrdiff_t{sizeof(float)};
}

void area(const Frame& frame, const AreaPlan& plan, const Normalisation& normalisation,
          const Tensor& tensor, ptrdiff_t first, ptrdiff_t last, void* scratch) noexcept {
  const Variant variant = current_variant();
  const ptrdiff_t row_count = frame.width * frame.channels, count = plan.columns.count;
  // What the columns need of a row; a crop needs only its middle.
  const AreaTap& end = plan.column_taps[count - 1];
  const ptrdiff_t from = plan.column_taps[0].begin * frame.channels;
  const ptrdiff_t needed = (end.begin + end.count) * frame.channels - from;
  float* sums = static_cast<float*>(scratch);
  float* kept = sums + row_size(row_count);
  float* levels[3];
  for (int c = 0; c < 3; ++c) levels[c] = kept + c * row_size(count);
  kept += 3 * row_size(count);

  for (ptrdiff_t y = first; y < last; ++y) {
    const AreaTap& tap = plan.row_taps[y];
    variant.sum_rows(frame.row(tap.begin) + from, frame.row_stride, tap, needed, sums + from);
    variant.sum_columns(sums, plan.column_taps, count, frame.channels, levels);
    float* rows[3];
    const bool direct = direct_rows(tensor, y, rows);
    for (int c = 0; c < tensor.channels; ++c) {
      if (!direct) rows[c] = kept + c * row_size(count);
      const int source = frame.channels == 1 ? 0 : normalisation.reversed ? 2 - c : c;
      variant.normalise(levels[source], count, normalisation.scale[c] * plan.norm,
                        normalisation.bias[c], rows[c]);
    }
    if (!direct) store_row(rows, tensor, y);
  }
}

}  // namespace hwrt
