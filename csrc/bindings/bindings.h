// What the files of this folder share.  Each kernel has a bind_ function, called by module.cpp.
//
// Kernels assume what their headers state; a binding checks it first and raises TypeError or
// ValueError with the value.  It then drops the GIL for the kernel alone.
#ifndef HWRT_CSRC_BINDINGS_BINDINGS_H_
#define HWRT_CSRC_BINDINGS_BINDINGS_H_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

namespace hwrt {

namespace py = pybind11;

void bind_argmax_map(py::module_& module);
void bind_target(py::module_& module);
void bind_quantize(py::module_& module);
void bind_resampler(py::module_& module);
void bind_softmax_top_k(py::module_& module);
void bind_yolo(py::module_& module);
void bind_yuv(py::module_& module);

// "(2, 1000)", as Python writes it.
inline std::string shape_text(const py::array& array) {
  return py::str(array.attr("shape")).cast<std::string>();
}

// Raises unless the array has this dtype, this many dimensions and aligned memory.
template <typename T>
void check_array(const py::array& array, const char* name, py::ssize_t dimensions) {
  if (!py::isinstance<py::array_t<T>>(array)) {
    throw py::type_error(std::string(name) + " is " + py::str(array.dtype()).cast<std::string>() +
                         ", not " + py::str(py::dtype::of<T>()).cast<std::string>());
  }
  if (array.ndim() != dimensions) {
    throw py::value_error(std::string(name) + " has the shape " + shape_text(array) + ", not " +
                          std::to_string(dimensions) + " dimensions");
  }
  if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0) {
    throw py::value_error(std::string(name) + " lies at an address that is no multiple of " +
                          std::to_string(alignof(T)));
  }
}

// Memory to write a C-contiguous array's elements to.  Raises unless that is what it is.
template <typename T>
T* output(py::array& array, const char* name, py::ssize_t dimensions) {
  check_array<T>(array, name, dimensions);
  if (!array.writeable()) throw py::value_error(std::string(name) + " is read-only");
  if (!(array.flags() & py::array::c_style)) {
    throw py::value_error(std::string(name) + " is not C-contiguous");
  }
  return static_cast<T*>(array.mutable_data());
}

}  // namespace hwrt

#endif  // HWRT_CSRC_BINDINGS_BINDINGS_H_
