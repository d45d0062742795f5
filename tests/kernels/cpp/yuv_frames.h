// Frames of luma and chroma, in memory of just their size, made into tensors.
#ifndef HWRT_TESTS_KERNELS_CPP_YUV_FRAMES_H_
#define HWRT_TESTS_KERNELS_CPP_YUV_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../../csrc/kernels/yuv.h"
#include "random.h"
#include "scratch_memory.h"

namespace hwrt {

inline constexpr YuvMatrix kBt601{16, 255.0f / 219, 1.596027f, -0.391762f, -0.812968f, 2.017232f};
inline constexpr Normalisation kYuvNormalised{
    {1 / 255.0f, 1 / 255.0f, 1 / 255.0f}, {-0.5f, -0.5f, -0.5f}, true};

struct Taps {
  std::vector<std::int32_t> low, offsets;
  std::vector<std::int16_t> weights;
  BilinearPlan plan;

  Taps(const Span& rows, const Span& columns, int channels, bool whole_rows)
      : low(static_cast<std::size_t>(rows.count)),
        offsets(static_cast<std::size_t>(columns.count)),
        weights(low.size() + offsets.size()) {
    bilinear_taps(rows, low.data(), weights.data());
    bilinear_taps(columns, offsets.data(), weights.data() + rows.count);
    for (std::int32_t& offset : offsets) offset *= channels;
    plan = {rows,
            columns,
            channels,
            low.data(),
            weights.data(),
            offsets.data(),
            weights.data() + rows.count,
            whole_rows};
  }
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;
};

struct YuvPixels {
  std::ptrdiff_t height, width;
  bool packed;
  std::vector<std::uint8_t> luma, chroma;  // packed, all of it in luma

  YuvPixels(std::ptrdiff_t rows, std::ptrdiff_t columns, bool is_packed)
      : height(rows), width(columns), packed(is_packed) {
    Random random(static_cast<std::uint64_t>(columns * 2 + is_packed));
    luma = random.bytes(rows * columns * (packed ? 2 : 1));
    chroma = random.bytes(packed ? 0 : rows / 2 * columns);
  }

  // The dense tensor (h, w, 3).
  std::vector<float> converted(const Span& rows, const Span& columns,
                               const Normalisation& normalisation) const {
    const Span half_rows{rows.source / 2, rows.target, rows.start, rows.count};
    const Span half{columns.source / 2, columns.target, columns.start, columns.count};
    const Taps of_luma(rows, columns, 1, packed);
    const Taps of_chroma(packed ? rows : half_rows, half, 2, packed);
    const Frame first{luma.data(), height, width, packed ? 2 : 1, width * (packed ? 2 : 1)};
    const Frame second{chroma.data(), height / 2, width / 2, 2, width};
    std::vector<float> out(static_cast<std::size_t>(rows.count * columns.count * 3));
    const std::ptrdiff_t row = columns.count * 3 * static_cast<std::ptrdiff_t>(sizeof(float));
    const Tensor tensor{out.data(), Element::kFloat32, rows.count, columns.count, 3, row, 12, 4};
    const YuvPlan plan{of_luma.plan, of_chroma.plan};
    const ScratchMemory memory(yuv_scratch_size(plan));
    yuv({first, packed ? first : second, packed}, plan, kBt601, normalisation, tensor, 0,
        rows.count, memory.get());
    return out;
  }

  // Luma, U or V (0, 1, 2) of the pixel or of the pair that has it.
  double at(int plane, std::ptrdiff_t y, std::ptrdiff_t x) const {
    const std::ptrdiff_t place = !packed      ? y * width + (plane == 0 ? x : 2 * x + plane - 1)
                                 : plane == 0 ? (y * width + x) * 2
                                              : (y * width + 2 * x) * 2 + 2 * plane - 1;
    return (packed || plane == 0 ? luma : chroma)[static_cast<std::size_t>(place)];
  }
};

}  // namespace hwrt

#endif  // HWRT_TESTS_KERNELS_CPP_YUV_FRAMES_H_
