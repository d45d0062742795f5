#include "../kernels/yuv.h"

#include <cstdint>
#include <string>
#include <tuple>

#include "../kernels/image.h"
#include "bindings.h"
#include "resampling.h"
#include "scratch.h"

namespace hwrt {
namespace {

using std::ptrdiff_t;
using std::uint8_t;

// black, luma_scale, red_v, green_u, green_v, blue_u
using Matrix = std::tuple<float, float, float, float, float, float>;

Span halved(const Span& span) { return {span.source / 2, span.target, span.start, span.count}; }

// Makes frames of luma and chroma, of one size, into tensors' contents of one size.
class YuvResampler {
 public:
  YuvResampler(const SpanTuple& rows, const SpanTuple& columns, bool packed, const Matrix& matrix)
      : rows_(checked_span(rows, "rows")),
        columns_(checked_span(columns, "columns")),
        packed_(packed),
        matrix_{std::get<0>(matrix), std::get<1>(matrix), std::get<2>(matrix),
                std::get<3>(matrix), std::get<4>(matrix), std::get<5>(matrix)} {
    if (columns_.source % 2 != 0 || (!packed && rows_.source % 2 != 0)) {
      throw py::value_error("a frame of " + std::to_string(rows_.source) + " x " +
                            std::to_string(columns_.source) + " pixels has no whole pairs of them");
    }
    luma_ = OwnedBilinearPlan(rows_, columns_, 1, packed);
    chroma_ = OwnedBilinearPlan(packed ? rows_ : halved(rows_), halved(columns_), 2, packed);
    plan_ = {luma_.plan, chroma_.plan};
    scratch_size_ = yuv_scratch_size(plan_);
  }

  void run(py::array frame, py::array out, py::ssize_t top, py::ssize_t left, const Floats& scale,
           const Floats& bias, const Floats& pad, bool reversed, int threads) const {
    const Normalisation normalisation = normalisation_of(scale, bias, reversed);
    const YuvFrame source = checked_frame(frame);
    const Place place{top, left, rows_.count, columns_.count};
    const Tensor whole = checked_tensor(out, frame, 3, place);
    const Tensor part = part_of(whole, place);
    const ptrdiff_t parts = part_count(threads, frame.nbytes() + out.nbytes(), rows_.count);
    const py::gil_scoped_release released;
    fill_around(whole, pad, place);
    in_parts(parts, rows_.count, [&](ptrdiff_t first, ptrdiff_t last) {
      yuv(source, plan_, matrix_, normalisation, part, first, last, scratch(scratch_size_));
    });
  }

 private:
  // Replaces the frame by a copy where the bytes of a row do not lie next to each other.
  YuvFrame checked_frame(py::array& frame) const {
    const py::ssize_t rows = packed_ ? rows_.source : rows_.source / 2 * 3;
    check_array<uint8_t>(frame, "frame", packed_ ? 3 : 2);
    if (frame.shape(0) != rows || frame.shape(1) != columns_.source ||
        (packed_ && frame.shape(2) != 2)) {
      throw py::value_error("frame has the shape " + shape_text(frame) + ", not (" +
                            std::to_string(rows) + ", " + std::to_string(columns_.source) +
                            (packed_ ? ", 2)" : ")"));
    }
    const bool dense =
        packed_ ? frame.strides(2) == 1 && frame.strides(1) == 2 : frame.strides(1) == 1;
    if (!dense) frame = py::array_t<uint8_t, py::array::c_style>(frame);
    const auto* data = static_cast<const uint8_t*>(frame.data());
    const ptrdiff_t stride = frame.strides(0);
    const Frame luma{data, rows_.source, columns_.source, packed_ ? 2 : 1, stride};
    const Frame chroma{data + rows_.source * stride, rows_.source / 2, columns_.source / 2, 2,
                       stride};
    return {luma, packed_ ? luma : chroma, packed_};
  }

  Span rows_, columns_;
  bool packed_;
  YuvMatrix matrix_;
  OwnedBilinearPlan luma_, chroma_;
  YuvPlan plan_{};
  ptrdiff_t scratch_size_ = 0;
};

}  // namespace

void bind_yuv(py::module_& module) {
  py::class_<YuvResampler>(module, "YuvResampler",
                           py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                           "Makes frames of luma and chroma into tensors of one size, normalised.")
      .def(py::init<const SpanTuple&, const SpanTuple&, bool, const Matrix&>(), py::arg("rows"),
           py::arg("columns"), py::arg("packed"), py::arg("matrix"))
      .def("run", &YuvResampler::run, py::arg("frame").noconvert(), py::arg("out").noconvert(),
           py::arg("top"), py::arg("left"), py::arg("scale"), py::arg("bias"), py::arg("pad"),
           py::arg("reverse"), py::arg("threads") = 1,
           "Write the frame into out (h, w, 3), and pad around it.");
}

}  // namespace hwrt
