#include "tensor_row.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "half.h"
#include "target.h"
#include "target_region.h"

namespace hwrt {
namespace {

using std::int8_t;
using std::memcpy;
using std::ptrdiff_t;
using std::uint16_t;
using std::uint32_t;
using std::uint8_t;

char* pixel(const Tensor& tensor, ptrdiff_t y, ptrdiff_t x, int c) {
  return static_cast<char*>(tensor.data) + y * tensor.row_stride + x * tensor.pixel_stride +
         c * tensor.channel_stride;
}

// Copies elements of kSize bytes from places in_stride bytes apart to others out_stride apart; a
// constant size, so that each is one move and no call.
template <std::size_t kSize>
void copy_sized(const char* in, ptrdiff_t in_stride, ptrdiff_t count, char* out,
                ptrdiff_t out_stride) {
  for (ptrdiff_t i = 0; i < count; ++i) memcpy(out + i * out_stride, in + i * in_stride, kSize);
}

void copy_elements(const char* in, ptrdiff_t in_stride, ptrdiff_t count, ptrdiff_t size, char* out,
                   ptrdiff_t out_stride) {
  if (in_stride == size && out_stride == size) {
    memcpy(out, in, static_cast<std::size_t>(count * size));
  } else if (size == 4) {
    copy_sized<4>(in, in_stride, count, out, out_stride);
  } else if (size == 2) {
    copy_sized<2>(in, in_stride, count, out, out_stride);
  } else {
    copy_sized<1>(in, in_stride, count, out, out_stride);
  }
}

// Elements of `size` bytes, one after the other, to places `stride` bytes apart.
void scatter(const void* in, ptrdiff_t count, ptrdiff_t size, char* out, ptrdiff_t stride) {
  copy_elements(static_cast<const char*>(in), size, count, size, out, stride);
}

struct Variant {
  void (*narrow_to_halves)(const float* in, ptrdiff_t count, uint16_t* out);
  void (*narrow_to_bytes)(const float* in, ptrdiff_t count, float low, float high, uint8_t* out);
  // Rows of elements of size 1, 2 or 4 as pixels of three channels, one after the other.
  void (*interleave)(const void* const rows[3], ptrdiff_t count, ptrdiff_t size, void* out);
};

namespace scalar {

void narrow_to_halves(const float* in, ptrdiff_t count, uint16_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    const uint16_t half = half_from_float(in[i]);
    memcpy(out + i, &half, sizeof half);  // out may be where in is, of another type
  }
}

void narrow_to_bytes(const float* in, ptrdiff_t count, float low, float high, uint8_t* out) {
  for (ptrdiff_t i = 0; i < count; ++i) {
    const float within = in[i] < low ? low : in[i] > high ? high : in[i];
    out[i] = static_cast<uint8_t>(std::lrint(within));  // of a negative number its int8 bits
  }
}

void interleave(const void* const rows[3], ptrdiff_t count, ptrdiff_t size, void* out) {
  for (int c = 0; c < 3; ++c) {
    scatter(rows[c], count, size, static_cast<char*>(out) + c * size, 3 * size);
  }
}

constexpr Variant kVariant{narrow_to_halves, narrow_to_bytes, interleave};

}  // namespace scalar

#define HWRT_PASSES "passes/tensor_row.inc"
#include "each_target.inc"

// The numbers as the tensor's elements, from the same address on.
void narrow(float* row, ptrdiff_t count, Element element, const Variant& variant) {
  switch (element) {
    case Element::kFloat32:
      return;
    case Element::kFloat16:
      return variant.narrow_to_halves(row, count, reinterpret_cast<uint16_t*>(row));
    case Element::kUint8:
      return variant.narrow_to_bytes(row, count, 0.0f, 255.0f, reinterpret_cast<uint8_t*>(row));
    case Element::kInt8:
      return variant.narrow_to_bytes(row, count, -128.0f, 127.0f, reinterpret_cast<uint8_t*>(row));
  }
}

}  // namespace

bool direct_rows(const Tensor& tensor, ptrdiff_t y, float* rows[3]) noexcept {
  if (tensor.element != Element::kFloat32 || tensor.pixel_stride != sizeof(float)) return false;
  for (int c = 0; c < tensor.channels; ++c) {
    rows[c] = reinterpret_cast<float*>(pixel(tensor, y, 0, c));
  }
  return true;
}

void store_row(float* const rows[3], const Tensor& tensor, ptrdiff_t y) noexcept {
  const Variant variant = current_variant();
  const ptrdiff_t size = size_of(tensor.element);
  for (int c = 0; c < tensor.channels; ++c) narrow(rows[c], tensor.width, tensor.element, variant);
  if (tensor.channels == 3 && tensor.channel_stride == size && tensor.pixel_stride == 3 * size) {
    const void* const elements[3] = {rows[0], rows[1], rows[2]};
    variant.interleave(elements, tensor.width, size, pixel(tensor, y, 0, 0));
    return;
  }
  for (int c = 0; c < tensor.channels; ++c) {
    scatter(rows[c], tensor.width, size, pixel(tensor, y, 0, c), tensor.pixel_stride);
  }
}

void fill(const Tensor& tensor, const float values[3], ptrdiff_t first_row, ptrdiff_t last_row,
          ptrdiff_t first_column, ptrdiff_t last_column) noexcept {
  const ptrdiff_t width = last_column - first_column;
  if (first_row >= last_row || width <= 0) return;
  const Variant variant = current_variant();
  const ptrdiff_t size = size_of(tensor.element);
  for (int c = 0; c < tensor.channels; ++c) {
    float value = values[c];
    narrow(&value, 1, tensor.element, variant);
    copy_elements(reinterpret_cast<const char*>(&value), 0, width, size,
                  pixel(tensor, first_row, first_column, c), tensor.pixel_stride);
  }
  // The first row is copied to the others, a run of channels that lie together at once.
  const bool pixels =
      tensor.channel_stride == size && tensor.pixel_stride == tensor.channels * size;
  for (int c = 0; c < (pixels ? 1 : tensor.channels); ++c) {
    const char* from = pixel(tensor, first_row, first_column, c);
    for (ptrdiff_t y = first_row + 1; y < last_row; ++y) {
      char* to = pixel(tensor, y, first_column, c);
      if (pixels) {
        memcpy(to, from, static_cast<std::size_t>(width * tensor.pixel_stride));
      } else {
        copy_elements(from, tensor.pixel_stride, width, size, to, tensor.pixel_stride);
      }
    }
  }
}

}  // namespace hwrt
