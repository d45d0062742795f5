#include "../kernels/softmax_top_k.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "bindings.h"

namespace hwrt {
namespace {

constexpr py::ssize_t kFloatSize = sizeof(float);

Logits checked_logits(const py::array& array) {
  check_array<float>(array, "logits", 2);
  const py::ssize_t rows = array.shape(0), count = array.shape(1);
  if (count > std::numeric_limits<std::int32_t>::max()) {
    throw py::value_error("logits has rows of " + std::to_string(count) +
                          " classes, more than int32 can number");
  }
  // NumPy leaves the stride of a dimension of size 0 or 1 to chance.
  if (rows > 0 && count > 1 && array.strides(1) != kFloatSize) {
    throw py::value_error("logits has " + std::to_string(array.strides(1)) +
                          " bytes from one class to the next, not " + std::to_string(kFloatSize));
  }
  const py::ssize_t row_bytes = rows > 1 ? array.strides(0) : 0;
  if (row_bytes % kFloatSize != 0) {
    throw py::value_error("logits has " + std::to_string(row_bytes) +
                          " bytes from one row to the next, no multiple of " +
                          std::to_string(kFloatSize));
  }
  return {static_cast<const float*>(array.data()), rows, count, row_bytes / kFloatSize};
}

void run_softmax_top_k(const py::array& logits, py::array classes, py::array scores, bool softmax) {
  const Logits rows = checked_logits(logits);
  std::int32_t* classes_out = output<std::int32_t>(classes, "classes", 2);
  float* scores_out = output<float>(scores, "scores", 2);
  const py::ssize_t k = classes.shape(1);
  if (k < 1 || k > rows.count || classes.shape(0) != rows.rows) {
    throw py::value_error("classes has the shape " + shape_text(classes) +
                          ", which no k from 1 to " + std::to_string(rows.count) +
                          " gives for logits of the shape " + shape_text(logits));
  }
  if (scores.shape(0) != rows.rows || scores.shape(1) != k) {
    throw py::value_error("scores has the shape " + shape_text(scores) + ", classes " +
                          shape_text(classes));
  }
  {
    const py::gil_scoped_release released;
    softmax_top_k(rows, k, softmax, classes_out, scores_out);
  }
}

}  // namespace

void bind_softmax_top_k(py::module_& module) {
  module.def("softmax_top_k", &run_softmax_top_k, py::arg("logits").noconvert(),
             py::arg("classes").noconvert(), py::arg("scores").noconvert(), py::arg("softmax"),
             "Fill classes and scores (n, k) with the k best of each row of logits, best first.");
}

}  // namespace hwrt
