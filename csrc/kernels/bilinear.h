// A frame at another size by bilinear interpolation with pixel centres, normalised and laid out as
// a model's input.
#ifndef HWRT_CSRC_KERNELS_BILINEAR_H_
#define HWRT_CSRC_KERNELS_BILINEAR_H_

#include <cstddef>
#include <cstdint>

#include "image.h"

namespace hwrt {

// Where the pixels of a scaled dimension lie between those of the source: pixel i has its centre at
// (i + 0.5) * source / target - 0.5, held within the source, and so
//   value = source[low[i]] + (source[low[i] + 1] - source[low[i]]) * weight[i] / 32768
// where weight is 0 if low is the source's last pixel.
void bilinear_taps(const Span& span, std::int32_t* low, std::int16_t* weight) noexcept;

// What bilinear needs for frames of one size and tensors of one size; the arrays belong to the
// caller.
struct BilinearPlan {
  Span rows, columns;
  int channels;  // of the frame, 1 or 3; for the steps below 2 as well
  const std::int32_t* row_low;
  const std::int16_t* row_weight;
  const std::int32_t* column_offset;  // low * channels
  const std::int16_t* column_weight;
  bool whole_rows = false;  // levels are those of whole rows, however few of them are needed
};

// count, rounded up to whole vectors of any target.
constexpr std::ptrdiff_t padded_count(std::ptrdiff_t count) { return (count + 15) / 16 * 16; }

// Bytes of scratch memory that a thread needs.
std::ptrdiff_t bilinear_scratch_size(const BilinearPlan& plan) noexcept;

// Writes rows first..last of the tensor (plan.rows.count x plan.columns.count) from the frame
// (plan.rows.source x plan.columns.source).
//
// Levels are computed in 16 bits, 7 of them behind the point: at most 1/64 of a level from the
// exact ones and the same on every target; scale and bias are then applied in float32, fused where
// the target can.  scratch is aligned to 64 bytes.
void bilinear(const Frame& frame, const BilinearPlan& plan, const Normalisation& normalisation,
              const Tensor& tensor, std::ptrdiff_t first, std::ptrdiff_t last,
              void* scratch) noexcept;

// bilinear in two steps, for kernels that do something else with the levels.
//
// Elements of int16 that the levels of a row take, with what is read behind them and never used.
std::ptrdiff_t bilinear_levels_count(const BilinearPlan& plan) noexcept;

// The levels of row y of the result, still of the frame's columns.
void bilinear_levels(const Frame& frame, const BilinearPlan& plan, std::ptrdiff_t y,
                     std::int16_t* levels) noexcept;

// rows[c][x] = level (0..255) of channel c, for the first count of the plan's channels.
void bilinear_columns(const std::int16_t* levels, const BilinearPlan& plan, int count,
                      float* const rows[]) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_BILINEAR_H_
