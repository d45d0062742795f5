#include <cstdint>
#include <string>
#include <vector>

#include "../kernels/area.h"
#include "../kernels/bilinear.h"
#include "../kernels/image.h"
#include "bindings.h"
#include "resampling.h"
#include "scratch.h"

namespace hwrt {
namespace {

using std::ptrdiff_t;
using std::uint8_t;

// True where the channels of a pixel, and the pixels of a row, lie next to each other.
bool dense_rows(const py::array& frame, ptrdiff_t channel_stride) {
  const py::ssize_t channels = frame.shape(2);
  return (channels == 1 || frame.strides(2) == channel_stride) &&
         (frame.shape(1) == 1 || frame.strides(1) == channels);
}

// Makes frames of one size and number of channels into tensors' contents of one size.
class Resampler {
 public:
  Resampler(const SpanTuple& rows, const SpanTuple& columns, int channels, bool area_means)
      : rows_(checked_span(rows, "rows")),
        columns_(checked_span(columns, "columns")),
        channels_(channels) {
    if (channels != 1 && channels != 3) {
      throw py::value_error("channels is " + std::to_string(channels) + ", not 1 or 3");
    }
    area_means ? prepare_area() : prepare_bilinear();
  }

  void run(py::array frame, py::array out, py::ssize_t top, py::ssize_t left, const Floats& scale,
           const Floats& bias, const Floats& pad, bool reversed, int threads) const {
    Normalisation normalisation = normalisation_of(scale, bias, reversed);
    const Frame source = checked_frame(frame, &normalisation.reversed);
    const Place place{top, left, rows_.count, columns_.count};
    const Tensor whole = checked_tensor(out, frame, channels_, place);
    const Tensor part = part_of(whole, place);
    const ptrdiff_t bytes = rows_.source * columns_.source * channels_ + out.nbytes();
    const ptrdiff_t parts = part_count(threads, bytes, rows_.count);
    const py::gil_scoped_release released;
    fill_around(whole, pad, place);
    in_parts(parts, rows_.count, [&](ptrdiff_t first, ptrdiff_t last) {
      write(source, normalisation, part, first, last);
    });
  }

 private:
  void prepare_bilinear() {
    bilinear_ = OwnedBilinearPlan(rows_, columns_, channels_);
    scratch_size_ = bilinear_scratch_size(bilinear_.plan);
  }

  void prepare_area() {
    taps_.resize(static_cast<std::size_t>(rows_.count + columns_.count));
    const float norm =
        area_taps(rows_, taps_.data()) * area_taps(columns_, taps_.data() + rows_.count);
    area_ = {rows_, columns_, channels_, taps_.data(), taps_.data() + rows_.count, norm};
    scratch_size_ = area_scratch_size(area_);
  }

  // Replaces the frame by a copy where its rows are not dense.
  Frame checked_frame(py::array& frame, bool* reversed) const {
    check_array<uint8_t>(frame, "frame", 3);
    if (frame.shape(0) != rows_.source || frame.shape(1) != columns_.source ||
        frame.shape(2) != channels_) {
      throw py::value_error("frame has the shape " + shape_text(frame) + ", not (" +
                            std::to_string(rows_.source) + ", " + std::to_string(columns_.source) +
                            ", " + std::to_string(channels_) + ")");
    }
    const uint8_t* data = static_cast<const uint8_t*>(frame.data());
    if (channels_ == 3 && dense_rows(frame, -1)) {  // a view [..., ::-1] of a dense frame
      data -= 2;
      *reversed = !*reversed;
    } else if (!dense_rows(frame, 1)) {
      frame = py::array_t<uint8_t, py::array::c_style>(frame);  // raises where memory is short
      data = static_cast<const uint8_t*>(frame.data());
    }
    return {data, rows_.source, columns_.source, channels_, frame.strides(0)};
  }

  void write(const Frame& frame, const Normalisation& normalisation, const Tensor& tensor,
             ptrdiff_t first, ptrdiff_t last) const {
    void* memory = scratch(scratch_size_);
    if (taps_.empty()) {
      bilinear(frame, bilinear_.plan, normalisation, tensor, first, last, memory);
    } else {
      area(frame, area_, normalisation, tensor, first, last, memory);
    }
  }

  Span rows_, columns_;
  int channels_;
  ptrdiff_t scratch_size_ = 0;
  std::vector<AreaTap> taps_;
  OwnedBilinearPlan bilinear_;
  AreaPlan area_{};
};

}  // namespace

void bind_resampler(py::module_& module) {
  py::class_<Resampler>(module, "Resampler",
                        py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                        "Makes frames of one size into tensors of one size, normalised.")
      .def(py::init<const SpanTuple&, const SpanTuple&, int, bool>(), py::arg("rows"),
           py::arg("columns"), py::arg("channels"), py::arg("area"))
      .def("run", &Resampler::run, py::arg("frame").noconvert(), py::arg("out").noconvert(),
           py::arg("top"), py::arg("left"), py::arg("scale"), py::arg("bias"), py::arg("pad"),
           py::arg("reverse"), py::arg("threads") = 1,
           "Write the frame into out (h, w, C), and pad around it.");
}

}  // namespace hwrt
