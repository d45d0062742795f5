#include "quantize.h"

#include <cmath>
#include <cstring>

#include "half.h"
#include "target.h"
#include "target_region.h"

namespace hwrt {
namespace {

using std::int16_t;
using std::int32_t;
using std::int8_t;
using std::memcpy;
using std::ptrdiff_t;
using std::uint16_t;
using std::uint32_t;
using std::uint8_t;

// Added to a small number, 1.5 * 2**23 rounds it to a whole one, halves to the even.
constexpr float kRounder = 12582912.0f;

struct Variant {
  void (*quantize_bytes)(const float* x, ptrdiff_t count, QuantizationStep step, float low,
                         float high, uint8_t* out);
  void (*dequantize_bytes)(const uint8_t* q, ptrdiff_t count, QuantizationStep step, bool is_signed,
                           float* out);
};

namespace scalar {

// The integer as a whole number, held within low..high before the zero point is added.
float level(float x, QuantizationStep step, float low, float high) {
  const float ratio = x / step.scale;
  if (std::isnan(ratio)) return step.zero_point;
  const float within = ratio < low ? low : ratio > high ? high : ratio;
  return (within + kRounder) - kRounder + step.zero_point;
}

void quantize_bytes(const float* x, ptrdiff_t count, QuantizationStep step, float low, float high,
                    uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    // Of a negative number its int8 bits.
    out[i] = static_cast<uint8_t>(static_cast<int>(level(x[i], step, low, high)));
  }
}

void quantize_words(const float* x, ptrdiff_t count, QuantizationStep step, float low, float high,
                    uint16_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    out[i] = static_cast<uint16_t>(static_cast<int>(level(x[i], step, low, high)));
  }
}

template <typename T>
void dequantize(const T* q, ptrdiff_t count, QuantizationStep step, float* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    out[i] = (static_cast<float>(q[i]) - step.zero_point) * step.scale;
  }
}

void dequantize_bytes(const uint8_t* q, ptrdiff_t count, QuantizationStep step, bool is_signed,
                      float* out) {
  if (is_signed) return dequantize(reinterpret_cast<const int8_t*>(q), count, step, out);
  dequantize(q, count, step, out);
}

constexpr Variant kVariant{quantize_bytes, dequantize_bytes};

}  // namespace scalar

#define HWRT_PASSES "passes/quantize.inc"
#include "each_target.inc"

struct Limits {
  float low, high;
};

Limits limits_of(Integer integer) {
  switch (integer) {
    case Integer::kUint8:
      return {0.0f, 255.0f};
    case Integer::kInt8:
      return {-128.0f, 127.0f};
    case Integer::kUint16:
      return {0.0f, 65535.0f};
    default:
      return {-32768.0f, 32767.0f};
  }
}

}  // namespace

void quantize(const float* x, ptrdiff_t count, QuantizationStep step, Integer integer,
              void* out) noexcept {
  const Limits limits = limits_of(integer);
  const float low = limits.low - step.zero_point, high = limits.high - step.zero_point;
  if (integer == Integer::kUint8 || integer == Integer::kInt8) {
    current_variant().quantize_bytes(x, count, step, low, high, static_cast<uint8_t*>(out));
  } else {
    scalar::quantize_words(x, count, step, low, high, static_cast<uint16_t*>(out));
  }
}

void dequantize(const void* q, ptrdiff_t count, QuantizationStep step, Integer integer,
                float* out) noexcept {
  switch (integer) {
    case Integer::kUint8:
    case Integer::kInt8:
      return current_variant().dequantize_bytes(static_cast<const uint8_t*>(q), count, step,
                                                integer == Integer::kInt8, out);
    case Integer::kUint16:
      return scalar::dequantize(static_cast<const uint16_t*>(q), count, step, out);
    case Integer::kInt16:
      return scalar::dequantize(static_cast<const int16_t*>(q), count, step, out);
  }
}

}  // namespace hwrt
