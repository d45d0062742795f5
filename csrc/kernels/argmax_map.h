// The class with the highest score of each pixel, of a map of scores at its own size or resized.
#ifndef HWRT_CSRC_KERNELS_ARGMAX_MAP_H_
#define HWRT_CSRC_KERNELS_ARGMAX_MAP_H_

#include <cstddef>
#include <cstdint>

namespace hwrt {

// A score for each class at each pixel, float32; strides in floats, of any sign.  Either the pixels
// of a row lie next to each other (pixel_stride is 1), or the classes of a pixel and the pixels of
// a row do (class_stride is 1 and pixel_stride is classes).
struct ScoreMap {
  const float* data;
  std::ptrdiff_t height;
  std::ptrdiff_t width;
  std::ptrdiff_t classes;  // 1..256
  std::ptrdiff_t row_stride;
  std::ptrdiff_t pixel_stride;
  std::ptrdiff_t class_stride;
};

// The pixels of a result that covers part of a dimension of a map: `count` of them over `extent` of
// the map's `source` pixels, from `begin` on, in fractions of a pixel.  extent is above 0.
struct MapSpan {
  double begin;
  double extent;
  std::ptrdiff_t source;
  std::ptrdiff_t count;
};

// Pixel i has its centre at (i + 0.5) * extent / count + begin - 0.5 of the map, held within the
// centres of the outermost pixels of the part, and within the map; its score is
//   score[low[i]] + (score[low[i] + 1] - score[low[i]]) * weight[i]
// where weight is 0 if low is the map's last pixel.
void map_taps(const MapSpan& span, std::int32_t* low, float* weight) noexcept;

// The taps of a result; the arrays belong to the caller.  Those of columns have
// padded_columns(columns) entries, of which the last ones are 0.
struct MapTaps {
  std::ptrdiff_t columns;
  const std::int32_t* row_low;
  const float* row_weight;
  const std::int32_t* column_low;
  const float* column_weight;
};

// count, rounded up to whole vectors of any target.
constexpr std::ptrdiff_t padded_columns(std::ptrdiff_t count) { return (count + 15) / 16 * 16; }

// Bytes of scratch memory that a thread needs for a result of so many columns.
std::ptrdiff_t argmax_map_scratch_size(const ScoreMap& map, std::ptrdiff_t columns) noexcept;

// out[y * map.width + x] is the class with the highest score, the lower one of equals, for rows
// first..last.  A NaN ranks as -inf does; where there is nothing else the class is 0.  scratch is
// aligned to 64 bytes.  The same on every target.
void argmax_map(const ScoreMap& map, std::ptrdiff_t first, std::ptrdiff_t last, std::uint8_t* out,
                void* scratch) noexcept;

// The same of a resized map: out[y * taps.columns + x].  Scores are held within +-1e38 first, a NaN
// at the lower end; then they are interpolated in float32, rows before columns, each product and
// each sum rounded.  No more than a group of classes of one row is stored.
void resized_argmax_map(const ScoreMap& map, const MapTaps& taps, std::ptrdiff_t first,
                        std::ptrdiff_t last, std::uint8_t* out, void* scratch) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_ARGMAX_MAP_H_
