#include "yuv.h"

#include <cstdint>
#include <cstring>

#include "target.h"
#include "target_region.h"
#include "tensor_row.h"

namespace hwrt {
namespace {

using std::int16_t;
using std::ptrdiff_t;

// The rows to write, red, green and blue, each * scale + bias.
struct Colours {
  float* rows[3];
  float scale[3], bias[3];
};

struct Variant {
  // The colours' rows from those of Y, U and V.
  void (*convert)(const float* const yuv[3], ptrdiff_t count, const YuvMatrix& matrix,
                  const Colours& colours);
};

namespace scalar {

float within(float level) { return level > 0.0f ? (level < 255.0f ? level : 255.0f) : 0.0f; }

void convert(const float* const yuv[3], ptrdiff_t count, const YuvMatrix& matrix,
             const Colours& colours) {
  const float black = -matrix.black * matrix.luma_scale;
  for (ptrdiff_t i = 0; i < count; ++i) {
    const float luma = yuv[0][i] * matrix.luma_scale + black;
    const float u = yuv[1][i] - 128.0f, v = yuv[2][i] - 128.0f;
    const float levels[3] = {v * matrix.red_v + luma,
                             v * matrix.green_v + (u * matrix.green_u + luma),
                             u * matrix.blue_u + luma};
    for (int c = 0; c < 3; ++c) {
      colours.rows[c][i] = within(levels[c]) * colours.scale[c] + colours.bias[c];
    }
  }
}

constexpr Variant kVariant{convert};

}  // namespace scalar

#define HWRT_PASSES "passes/yuv.inc"
#include "each_target.inc"

ptrdiff_t rounded(ptrdiff_t bytes) { return (bytes + 63) / 64 * 64; }

ptrdiff_t levels_bytes(const BilinearPlan& plan) {
  return rounded(bilinear_levels_count(plan) * ptrdiff_t{sizeof(int16_t)});
}

// Of a row that holds luma and chroma, with what is read behind it; 0 where none does.
ptrdiff_t packed_bytes(const BilinearPlan& luma) {
  const ptrdiff_t elements = bilinear_levels_count(luma) + luma.columns.source;
  return luma.whole_rows ? rounded(elements * ptrdiff_t{sizeof(int16_t)}) : 0;
}

// A thread's memory, cut into parts.
struct Parts {
  int16_t* luma;
  int16_t* chroma;
  int16_t* packed;
  float* yuv[3];
  float* kept[3];

  Parts(const YuvPlan& plan, void* scratch) {
    char* at = static_cast<char*>(scratch);
    const auto take = [&at](ptrdiff_t bytes) {
      char* taken = at;
      at += rounded(bytes);
      return taken;
    };
    luma = reinterpret_cast<int16_t*>(take(levels_bytes(plan.luma)));
    chroma = reinterpret_cast<int16_t*>(take(levels_bytes(plan.chroma)));
    packed = reinterpret_cast<int16_t*>(take(packed_bytes(plan.luma)));
    const ptrdiff_t row = padded_count(plan.luma.columns.count) * ptrdiff_t{sizeof(float)};
    for (float*& one : yuv) one = reinterpret_cast<float*>(take(row));
    for (float*& one : kept) one = reinterpret_cast<float*>(take(row));
  }
};

// Levels in the order Y U Y V, of so many pixels, into those of luma and of chroma.
void split(const int16_t* packed, ptrdiff_t width, int16_t* luma, int16_t* chroma) {
  for (ptrdiff_t i = 0; i < width; ++i) {
    luma[i] = packed[2 * i];
    chroma[i] = packed[2 * i + 1];
  }
}

}  // namespace

ptrdiff_t yuv_scratch_size(const YuvPlan& plan) noexcept {
  const ptrdiff_t row = rounded(padded_count(plan.luma.columns.count) * ptrdiff_t{sizeof(float)});
  return levels_bytes(plan.luma) + levels_bytes(plan.chroma) + packed_bytes(plan.luma) + 6 * row;
}

void yuv(const YuvFrame& frame, const YuvPlan& plan, const YuvMatrix& matrix,
         const Normalisation& normalisation, const Tensor& tensor, ptrdiff_t first, ptrdiff_t last,
         void* scratch) noexcept {
  const Variant variant = current_variant();
  const Parts parts(plan, scratch);
  Colours colours{};
  for (int p = 0; p < 3; ++p) {
    const int c = normalisation.reversed ? 2 - p : p;
    colours.scale[p] = normalisation.scale[c];
    colours.bias[p] = normalisation.bias[c];
  }
  const ptrdiff_t count = plan.luma.columns.count;
  if (frame.packed) {  // what is read behind a row is not split
    std::memset(parts.luma, 0, static_cast<std::size_t>(levels_bytes(plan.luma)));
    std::memset(parts.chroma, 0, static_cast<std::size_t>(levels_bytes(plan.chroma)));
  }
  for (ptrdiff_t y = first; y < last; ++y) {
    bilinear_levels(frame.luma, plan.luma, y, frame.packed ? parts.packed : parts.luma);
    if (frame.packed) {
      split(parts.packed, frame.luma.width, parts.luma, parts.chroma);
    } else {
      bilinear_levels(frame.chroma, plan.chroma, y, parts.chroma);
    }
    bilinear_columns(parts.luma, plan.luma, 1, parts.yuv);
    bilinear_columns(parts.chroma, plan.chroma, 2, parts.yuv + 1);
    float* rows[3];
    const bool direct = direct_rows(tensor, y, rows);
    for (int c = 0; c < 3 && !direct; ++c) rows[c] = parts.kept[c];
    for (int p = 0; p < 3; ++p) colours.rows[p] = rows[normalisation.reversed ? 2 - p : p];
    variant.convert(parts.yuv, count, matrix, colours);
    if (!direct) store_row(rows, tensor, y);
  }
}

}  // namespace hwrt
