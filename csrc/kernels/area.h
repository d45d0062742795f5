// A frame reduced to the means of the areas under the pixels of a model's input, normalised and
// laid out.
#ifndef HWRT_CSRC_KERNELS_AREA_H_
#define HWRT_CSRC_KERNELS_AREA_H_

#include <cstddef>
#include <cstdint>

#include "image.h"

namespace hwrt {

// Pixel i of a scaled dimension is
//   (first * source[begin] + source[begin + 1] + ... + last * source[begin + count - 1]) * norm
// with last left out where count is 1.  norm is one for the dimension.
struct AreaTap {
  std::int32_t begin;
  std::int32_t count;
  float first;
  float last;
};

// Fills taps[span.count] and returns norm.  A dimension that does not shrink is interpolated, with
// pixel centres.
float area_taps(const Span& span, AreaTap* taps) noexcept;

// The arrays belong to the caller.
struct AreaPlan {
  Span rows, columns;
  int channels;  // of the frame, 1 or 3
  const AreaTap* row_taps;
  const AreaTap* column_taps;
  float norm;  // the product of both dimensions' norms
};

// Bytes of scratch memory that a thread needs.
std::ptrdiff_t area_scratch_size(const AreaPlan& plan) noexcept;

// Writes rows first..last of the tensor (plan.rows.count x plan.columns.count) from the frame
// (plan.rows.source x plan.columns.source).  Levels are float32, within 1e-3 of the exact ones.
// scratch is aligned to 64 bytes.
void area(const Frame& frame, const AreaPlan& plan, const Normalisation& normalisation,
          const Tensor& tensor, std::ptrdiff_t first, std::ptrdiff_t last, void* scratch) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_AREA_H_
