// The k best classes of each row of logits, with their logits or softmax probabilities.
#ifndef HWRT_CSRC_KERNELS_SOFTMAX_TOP_K_H_
#define HWRT_CSRC_KERNELS_SOFTMAX_TOP_K_H_

#include <cstddef>
#include <cstdint>

namespace hwrt {

// rows x count float32 logits.  Row r begins at data + r * row_stride (in floats, may be negative
// or 0); within a row they are contiguous.
struct Logits {
  const float* data;
  std::ptrdiff_t rows;
  std::ptrdiff_t count;
  std::ptrdiff_t row_stride;
};

// For each row r and j < k: classes[r * k + j] is the class with the j-th highest logit, the lower
// class first where two are equal; a NaN ranks as -inf.  scores[r * k + j] is, without softmax,
// that class's logit as it stands; with softmax, exp(x - max) / sum(exp(x - max)) over the row,
// where
// - x - max is rounded to float32, and exp below e**-87 counts as 0;
// - a NaN has the probability 0, as -inf has;
// - m classes of +inf have the probability 1 / m each and all others 0;
// - a row of only NaN and -inf has no distribution: every score is NaN.
//
// 1 <= k <= count <= INT32_MAX.  data, classes and scores do not overlap and need no alignment
// beyond their type's.  Classes are the same on every target, probabilities within 4 ulp of the
// definition's, however long the row is.
void softmax_top_k(const Logits& logits, std::ptrdiff_t k, bool softmax, std::int32_t* classes,
                   float* scores) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_SOFTMAX_TOP_K_H_
