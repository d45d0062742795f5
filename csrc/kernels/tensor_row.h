// A row of a model's input, stored from one float32 row a channel.
#ifndef HWRT_CSRC_KERNELS_TENSOR_ROW_H_
#define HWRT_CSRC_KERNELS_TENSOR_ROW_H_

#include <cstddef>

#include "image.h"

namespace hwrt {

// Where float32 rows of row y can be written at once, one a channel of the tensor; false where
// they must be stored by store_row.
bool direct_rows(const Tensor& tensor, std::ptrdiff_t y, float* rows[3]) noexcept;

// Stores rows[c][x] as channel c of pixel x of row y, rounded as Normalisation says.  No value is
// NaN.  The rows are overwritten.
void store_row(float* const rows[3], const Tensor& tensor, std::ptrdiff_t y) noexcept;

// Fills the rectangle of the tensor with values[c] in channel c, converted as store_row does.
void fill(const Tensor& tensor, const float values[3], std::ptrdiff_t first_row,
          std::ptrdiff_t last_row, std::ptrdiff_t first_column,
          std::ptrdiff_t last_column) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_TENSOR_ROW_H_
