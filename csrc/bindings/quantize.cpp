#include "../kernels/quantize.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "bindings.h"

namespace hwrt {
namespace {

using std::ptrdiff_t;

Integer checked_integer(const py::array& array, const char* name) {
  if (py::isinstance<py::array_t<std::uint8_t>>(array)) return Integer::kUint8;
  if (py::isinstance<py::array_t<std::int8_t>>(array)) return Integer::kInt8;
  if (py::isinstance<py::array_t<std::uint16_t>>(array)) return Integer::kUint16;
  if (py::isinstance<py::array_t<std::int16_t>>(array)) return Integer::kInt16;
  throw py::type_error(std::string(name) + " is " + py::str(array.dtype()).cast<std::string>() +
                       ", not uint8, int8, uint16 or int16");
}

// (outer, channels, inner) arrays, and a scale and a zero point for each channel.
struct Channels {
  ptrdiff_t outer, channels, inner;
  const float* scales;
  const float* zero_points;

  QuantizationStep step(ptrdiff_t channel) const { return {scales[channel], zero_points[channel]}; }
};

// Raises unless each scale is finite and above 0, and each zero point a value of the integers.
void check_steps(const Channels& given, const py::array& integers) {
  const bool is_signed = integers.dtype().kind() == 'i';
  const int values = 1 << (8 * integers.itemsize()), low = is_signed ? -values / 2 : 0;
  for (ptrdiff_t i = 0; i < given.channels; ++i) {
    const auto [scale, zero_point] = given.step(i);
    if (!(scale > 0.0f && scale <= std::numeric_limits<float>::max())) {
      throw py::value_error("scales has " + std::to_string(scale) + ", not finite and above 0");
    }
    const auto least = static_cast<float>(low), most = static_cast<float>(low + values - 1);
    if (!(zero_point >= least && zero_point <= most && std::floor(zero_point) == zero_point)) {
      throw py::value_error("zero_points has " + std::to_string(zero_point) + ", no value of " +
                            py::str(integers.dtype()).cast<std::string>());
    }
  }
}

Channels checked_channels(const py::array& from, const py::array& to, const py::array& scales,
                          const py::array& zero_points) {
  check_array<float>(scales, "scales", 1);
  check_array<float>(zero_points, "zero_points", 1);
  const bool dense =
      from.flags() & to.flags() & scales.flags() & zero_points.flags() & py::array::c_style;
  const bool fits = from.ndim() == 3 && to.ndim() == 3 && from.shape(0) == to.shape(0) &&
                    from.shape(1) == to.shape(1) && from.shape(2) == to.shape(2) &&
                    scales.shape(0) == from.shape(1) && zero_points.shape(0) == from.shape(1);
  if (!dense || !fits) {
    throw py::value_error("the arrays are " + shape_text(from) + " and " + shape_text(to) + ", " +
                          shape_text(scales) + " scales, " + shape_text(zero_points) +
                          " zero points; they are C-contiguous (outer, channels, inner) twice, "
                          "and (channels,) twice");
  }
  if (!to.writeable()) throw py::value_error("out is read-only");
  for (const py::array* array : {&from, &to}) {
    if (reinterpret_cast<std::uintptr_t>(array->data()) % array->itemsize() != 0) {
      throw py::value_error("an array lies at an address that is no multiple of " +
                            std::to_string(array->itemsize()));
    }
  }
  return {from.shape(0), from.shape(1), from.shape(2), static_cast<const float*>(scales.data()),
          static_cast<const float*>(zero_points.data())};
}

void run_quantize(const py::array& x, const py::array& scales, const py::array& zero_points,
                  py::array out) {
  const Integer integer = checked_integer(out, "out");
  check_array<float>(x, "x", 3);
  const Channels shape = checked_channels(x, out, scales, zero_points);
  check_steps(shape, out);
  const auto* from = static_cast<const float*>(x.data());
  auto* to = static_cast<char*>(out.mutable_data());
  const ptrdiff_t size = out.itemsize();
  const py::gil_scoped_release released;
  for (ptrdiff_t i = 0; i < shape.outer * shape.channels; ++i) {
    quantize(from + i * shape.inner, shape.inner, shape.step(i % shape.channels), integer,
             to + i * shape.inner * size);
  }
}

void run_dequantize(const py::array& q, const py::array& scales, const py::array& zero_points,
                    py::array out) {
  const Integer integer = checked_integer(q, "q");
  check_array<float>(out, "out", 3);
  const Channels shape = checked_channels(q, out, scales, zero_points);
  check_steps(shape, q);
  const auto* from = static_cast<const char*>(q.data());
  auto* to = static_cast<float*>(out.mutable_data());
  const ptrdiff_t size = q.itemsize();
  const py::gil_scoped_release released;
  for (ptrdiff_t i = 0; i < shape.outer * shape.channels; ++i) {
    dequantize(from + i * shape.inner * size, shape.inner, shape.step(i % shape.channels), integer,
               to + i * shape.inner);
  }
}

}  // namespace

void bind_quantize(py::module_& module) {
  module.def("quantize", &run_quantize, py::arg("x").noconvert(), py::arg("scales").noconvert(),
             py::arg("zero_points").noconvert(), py::arg("out").noconvert(),
             "Fill out with the integers of x, all (outer, channels, inner).");
  module.def("dequantize", &run_dequantize, py::arg("q").noconvert(), py::arg("scales").noconvert(),
             py::arg("zero_points").noconvert(), py::arg("out").noconvert(),
             "Fill out with the numbers of q, all (outer, channels, inner).");
}

}  // namespace hwrt
