// What the kernels share that turn a frame into a model's input.
#ifndef HWRT_CSRC_KERNELS_IMAGE_H_
#define HWRT_CSRC_KERNELS_IMAGE_H_

#include <cstddef>
#include <cstdint>

namespace hwrt {

// A uint8 image.  Row y begins at data + y * row_stride (bytes, of any sign); within a row the
// pixels, and the 1 or 3 channels of a pixel, lie next to each other.
struct Frame {
  const std::uint8_t* data;
  std::ptrdiff_t height;
  std::ptrdiff_t width;
  int channels;
  std::ptrdiff_t row_stride;

  const std::uint8_t* row(std::ptrdiff_t y) const { return data + y * row_stride; }
};

enum class Element { kFloat32, kFloat16, kUint8, kInt8 };

constexpr std::ptrdiff_t size_of(Element element) {
  return element == Element::kFloat32 ? 4 : element == Element::kFloat16 ? 2 : 1;
}

// One image of a model's input; strides in bytes, of any sign.  Elements are aligned for their
// type.  It shares no memory with the frame.
struct Tensor {
  void* data;
  Element element;
  std::ptrdiff_t height;
  std::ptrdiff_t width;
  int channels;
  std::ptrdiff_t row_stride;
  std::ptrdiff_t pixel_stride;
  std::ptrdiff_t channel_stride;
};

// Channel c of a tensor is level * scale[c] + bias[c], where level (0..255) is that of the frame's
// channel of the same number, or 2 - c where the order is reversed; a gray frame's only channel
// fills all of them.  Integers are rounded, halves to the even neighbour, and saturated.
struct Normalisation {
  float scale[3];
  float bias[3];
  bool reversed;
};

// Pixels start..start + count of a dimension scaled from source to target pixels.  All are at least
// 1 but start, and start + count <= target.
struct Span {
  std::ptrdiff_t source;
  std::ptrdiff_t target;
  std::ptrdiff_t start;
  std::ptrdiff_t count;
};

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_IMAGE_H_
