#include "resampling.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "../kernels/tensor_row.h"

namespace hwrt {
namespace {

using std::int32_t;
using std::int64_t;
using std::ptrdiff_t;

Element checked_element(const py::array& array) {
  const py::dtype dtype = array.dtype();
  const bool native = dtype.attr("isnative").cast<bool>();
  if (native && dtype.kind() == 'f' && dtype.itemsize() == 4) return Element::kFloat32;
  if (native && dtype.kind() == 'f' && dtype.itemsize() == 2) return Element::kFloat16;
  if (dtype.kind() == 'u' && dtype.itemsize() == 1) return Element::kUint8;
  if (dtype.kind() == 'i' && dtype.itemsize() == 1) return Element::kInt8;
  throw py::type_error("out is " + py::str(dtype).cast<std::string>() +
                       ", not float32, float16, uint8 or int8");
}

// The first byte of an array and the one behind its last.
struct Extent {
  std::uintptr_t begin, end;
};

Extent extent(const py::array& array) {
  auto begin = reinterpret_cast<std::uintptr_t>(array.data()), end = begin;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    const ptrdiff_t reach = (array.shape(i) - 1) * array.strides(i);
    (reach < 0 ? begin : end) += static_cast<std::uintptr_t>(reach);
  }
  return {begin, end + static_cast<std::uintptr_t>(array.itemsize())};
}

}  // namespace

Span checked_span(const SpanTuple& given, const char* name) {
  const auto [source, target, start, count] = given;
  constexpr int64_t most = std::numeric_limits<int32_t>::max() / 8;
  if (source < 1 || source > most || target < 1 || target > most || start < 0 || count < 1 ||
      start > target - count) {
    throw py::value_error(std::string(name) + " is (" + std::to_string(source) + ", " +
                          std::to_string(target) + ", " + std::to_string(start) + ", " +
                          std::to_string(count) + "), which is no span of 1 to " +
                          std::to_string(most) + " pixels");
  }
  return {source, target, start, count};
}

Tensor checked_tensor(py::array& out, const py::array& frame, int channels, const Place& place) {
  const Element element = checked_element(out);
  if (out.ndim() != 3 || out.shape(2) < channels || (out.shape(2) != 1 && out.shape(2) != 3)) {
    throw py::value_error("out has the shape " + shape_text(out) + ", which is not (h, w, " +
                          (channels == 3 ? "3)" : "1 or 3)"));
  }
  if (place.top < 0 || place.left < 0 || place.top > out.shape(0) - place.rows ||
      place.left > out.shape(1) - place.columns) {
    throw py::value_error("out has the shape " + shape_text(out) + ", which does not hold " +
                          std::to_string(place.rows) + " x " + std::to_string(place.columns) +
                          " pixels from (" + std::to_string(place.top) + ", " +
                          std::to_string(place.left) + ")");
  }
  if (!out.writeable()) throw py::value_error("out is read-only");
  const auto address = reinterpret_cast<std::uintptr_t>(out.data());
  const auto size = static_cast<std::uintptr_t>(size_of(element));
  for (int i = 0; i < 3; ++i) {
    if (address % size != 0 || static_cast<std::uintptr_t>(out.strides(i)) % size != 0) {
      throw py::value_error("out is not aligned to its elements");
    }
  }
  const Extent a = extent(frame), b = extent(out);
  if (a.begin < b.end && b.begin < a.end) throw py::value_error("out shares the frame's memory");
  return {out.mutable_data(),
          element,
          out.shape(0),
          out.shape(1),
          static_cast<int>(out.shape(2)),
          out.strides(0),
          out.strides(1),
          out.strides(2)};
}

Tensor part_of(const Tensor& whole, const Place& place) {
  Tensor part = whole;
  part.data = static_cast<char*>(whole.data) + place.top * whole.row_stride +
              place.left * whole.pixel_stride;
  part.height = place.rows;
  part.width = place.columns;
  return part;
}

void fill_around(const Tensor& tensor, const Floats& values, const Place& place) {
  const float pad[3] = {std::get<0>(values), std::get<1>(values), std::get<2>(values)};
  const ptrdiff_t bottom = place.top + place.rows, right = place.left + place.columns;
  fill(tensor, pad, 0, place.top, 0, tensor.width);
  fill(tensor, pad, place.top, bottom, 0, place.left);
  fill(tensor, pad, place.top, bottom, right, tensor.width);
  fill(tensor, pad, bottom, tensor.height, 0, tensor.width);
}

ptrdiff_t part_count(int threads, ptrdiff_t bytes, ptrdiff_t rows) {
  constexpr ptrdiff_t kPartBytes = 4 << 20;  // some 0.2 ms
  const ptrdiff_t parts = std::min<ptrdiff_t>(threads, bytes / kPartBytes);
  return std::max<ptrdiff_t>(1, std::min(parts, rows));
}

Normalisation normalisation_of(const Floats& scale, const Floats& bias, bool reversed) {
  return {{std::get<0>(scale), std::get<1>(scale), std::get<2>(scale)},
          {std::get<0>(bias), std::get<1>(bias), std::get<2>(bias)},
          reversed};
}

OwnedBilinearPlan::OwnedBilinearPlan(const Span& rows, const Span& columns, int channels,
                                     bool whole_rows)
    : low(static_cast<std::size_t>(rows.count)),
      offsets(static_cast<std::size_t>(columns.count)),
      weights(static_cast<std::size_t>(rows.count + columns.count)) {
  bilinear_taps(rows, low.data(), weights.data());
  bilinear_taps(columns, offsets.data(), weights.data() + rows.count);
  for (int32_t& offset : offsets) offset *= channels;
  plan = {rows,
          columns,
          channels,
          low.data(),
          weights.data(),
          offsets.data(),
          weights.data() + rows.count,
          whole_rows};
}

}  // namespace hwrt
