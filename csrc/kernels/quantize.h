// Numbers made into the integers of a quantised tensor, and back.
#ifndef HWRT_CSRC_KERNELS_QUANTIZE_H_
#define HWRT_CSRC_KERNELS_QUANTIZE_H_

#include <cstddef>
#include <cstdint>

namespace hwrt {

enum class Integer { kUint8, kInt8, kUint16, kInt16 };

// One scale and zero point; scale is finite and above 0, zero_point a value of the integer.
struct QuantizationStep {
  float scale;
  float zero_point;
};

// out[i] = round(x[i] / scale) + zero_point for i < count, as ONNX's QuantizeLinear has it: divided
// in float32, halves rounded to the even neighbour, saturated to the integer's range; a NaN becomes
// the zero point.  The same on every target.  x and out do not overlap and are aligned for their
// types.
void quantize(const float* x, std::ptrdiff_t count, QuantizationStep step, Integer integer,
              void* out) noexcept;

// out[i] = (q[i] - zero_point) * scale for i < count, in float32, as ONNX's DequantizeLinear has
// it.  The same on every target.  q and out do not overlap and are aligned for their types.
void dequantize(const void* q, std::ptrdiff_t count, QuantizationStep step, Integer integer,
                float* out) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_QUANTIZE_H_
