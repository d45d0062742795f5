// hwrt._kernels.  A kernel is one line here; what Python sees is stated in hwrt/_kernels.pyi.
#include "bindings.h"

PYBIND11_MODULE(_kernels, module, pybind11::mod_gil_not_used()) {
  module.doc() = "The compiled kernels; hwrt.kernels chooses between them and their other forms.";
  hwrt::bind_target(module);
  hwrt::bind_argmax_map(module);
  hwrt::bind_quantize(module);
  hwrt::bind_resampler(module);
  hwrt::bind_softmax_top_k(module);
  hwrt::bind_yolo(module);
  hwrt::bind_yuv(module);
}
