#include "../kernels/argmax_map.h"

#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings.h"
#include "scratch.h"

namespace hwrt {
namespace {

using std::ptrdiff_t;

// Where the result begins in the map and how much of it it covers: rows, then columns.
using Part = std::tuple<double, double, double, double>;

constexpr py::ssize_t kFloatSize = sizeof(float);

// The stride in floats of a dimension.  NumPy leaves that of one of size 1 to chance.
ptrdiff_t stride_of(const py::array& scores, int dimension) {
  if (scores.shape(dimension) <= 1) return 0;
  const py::ssize_t bytes = scores.strides(dimension);
  if (bytes % kFloatSize != 0) {
    throw py::value_error("scores has " + std::to_string(bytes) +
                          " bytes from one to the next of "
                          "dimension " +
                          std::to_string(dimension) + ", no multiple of " +
                          std::to_string(kFloatSize));
  }
  return bytes / kFloatSize;
}

ScoreMap checked_map(const py::array& scores) {
  check_array<float>(scores, "scores", 3);
  constexpr py::ssize_t most = std::numeric_limits<std::int32_t>::max() / 8;
  const py::ssize_t height = scores.shape(0), width = scores.shape(1), classes = scores.shape(2);
  if (height < 1 || height > most || width < 1 || width > most || classes < 1 || classes > 256) {
    throw py::value_error("scores has the shape " + shape_text(scores) +
                          ", not (h, w, C) with 1 to 256 classes");
  }
  ScoreMap map{static_cast<const float*>(scores.data()),
               height,
               width,
               classes,
               stride_of(scores, 0),
               stride_of(scores, 1),
               stride_of(scores, 2)};
  if (width == 1) map.pixel_stride = map.class_stride == 1 ? classes : 1;
  if (classes == 1) map.class_stride = 1;
  const bool pixels_together = map.pixel_stride == 1;
  const bool classes_together = map.class_stride == 1 && map.pixel_stride == classes;
  if (!pixels_together && !classes_together) {
    throw py::value_error("scores has the strides " + std::to_string(map.row_stride) + ", " +
                          std::to_string(map.pixel_stride) + " and " +
                          std::to_string(map.class_stride) +
                          " floats: neither the pixels of a row nor all of a row lie together");
  }
  return map;
}

void check_part(double begin, double extent) {
  constexpr double most = 1e9;
  if (!(std::fabs(begin) <= most && extent > 0.0 && extent <= most)) {
    throw py::value_error("the part begins at " + std::to_string(begin) + " and has " +
                          std::to_string(extent) + " pixels of the map");
  }
}

struct OwnedTaps {
  std::vector<std::int32_t> low;
  std::vector<float> weights;

  explicit OwnedTaps(const MapSpan& span)
      : low(static_cast<std::size_t>(padded_columns(span.count))), weights(low.size()) {
    map_taps(span, low.data(), weights.data());
  }
};

void run_argmax_map(const py::array& scores, py::array out, const std::optional<Part>& part) {
  const ScoreMap map = checked_map(scores);
  std::uint8_t* to = output<std::uint8_t>(out, "out", 2);
  const ptrdiff_t rows = out.shape(0), columns = out.shape(1);
  if (!part && (rows != map.height || columns != map.width)) {
    throw py::value_error("out has the shape " + shape_text(out) + ", not (" +
                          std::to_string(map.height) + ", " + std::to_string(map.width) + ")");
  }
  if (!part) {
    void* memory = scratch(argmax_map_scratch_size(map, columns));
    const py::gil_scoped_release released;
    argmax_map(map, 0, rows, to, memory);
    return;
  }
  const auto [top, height, left, width] = *part;
  check_part(top, height);
  check_part(left, width);
  if (rows == 0 || columns == 0) return;
  const OwnedTaps down({top, height, map.height, rows}), across({left, width, map.width, columns});
  void* memory = scratch(argmax_map_scratch_size(map, columns));
  const py::gil_scoped_release released;
  resized_argmax_map(
      map,
      {columns, down.low.data(), down.weights.data(), across.low.data(), across.weights.data()}, 0,
      rows, to, memory);
}

}  // namespace

void bind_argmax_map(py::module_& module) {
  module.def("argmax_map", &run_argmax_map, py::arg("scores").noconvert(),
             py::arg("out").noconvert(), py::arg("part") = py::none(),
             "Fill out (H, W) with the best class of each pixel of scores (h, w, C).");
}

}  // namespace hwrt
