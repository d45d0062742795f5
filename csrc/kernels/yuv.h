// A frame of luma and chroma at another size, made into the red, green and blue of a model's input.
#ifndef HWRT_CSRC_KERNELS_YUV_H_
#define HWRT_CSRC_KERNELS_YUV_H_

#include <cstddef>

#include "bilinear.h"
#include "image.h"

namespace hwrt {

// Red, green and blue (0..255) of luma Y and chroma U and V (0..255 each):
//   luma = (Y - black) * luma_scale
//   red = luma + red_v * (V - 128),  blue = luma + blue_u * (U - 128),
//   green = luma + green_u * (U - 128) + green_v * (V - 128)
struct YuvMatrix {
  float black;
  float luma_scale;
  float red_v;
  float green_u;
  float green_v;
  float blue_u;
};

// Luma and chroma as two frames: of one channel, and of two (U, V) with half the width.  NV12 has
// half the rows of chroma too.  Packed (YUYV), both are the same memory, bytes Y U Y V of two
// pixels: luma is a frame of two channels, and chroma is not used.
struct YuvFrame {
  Frame luma;
  Frame chroma;
  bool packed;
};

// What yuv needs for frames of one size and tensors of one size: a plan for luma and one for
// chroma.  Packed, both have whole_rows, and rows of the plan for chroma are not used.
struct YuvPlan {
  BilinearPlan luma;
  BilinearPlan chroma;
};

// Bytes of scratch memory that a thread needs.
std::ptrdiff_t yuv_scratch_size(const YuvPlan& plan) noexcept;

// Writes rows first..last of the tensor, of three channels.  Luma and chroma are interpolated, each
// as bilinear does, converted in float32, held within 0..255 once, and normalised.  reversed has
// blue first.  The result is within 1/16 of a level of the exact one.  scratch is aligned to 64
// bytes.
void yuv(const YuvFrame& frame, const YuvPlan& plan, const YuvMatrix& matrix,
         const Normalisation& normalisation, const Tensor& tensor, std::ptrdiff_t first,
         std::ptrdiff_t last, void* scratch) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_YUV_H_
