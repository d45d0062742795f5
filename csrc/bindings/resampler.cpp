#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "../kernels/area.h"
#include "../kernels/bilinear.h"
#include "../kernels/image.h"
#include "../kernels/tensor_row.h"
#include "bindings.h"
#include "scratch.h"

namespace hwrt {
namespace {

using std::int16_t;
using std::int32_t;
using std::int64_t;
using std::ptrdiff_t;
using std::uint8_t;

using SpanTuple = std::tuple<int64_t, int64_t, int64_t, int64_t>;
using Floats = std::tuple<float, float, float>;

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
    Normalisation normalisation{{std::get<0>(scale), std::get<1>(scale), std::get<2>(scale)},
                                {std::get<0>(bias), std::get<1>(bias), std::get<2>(bias)},
                                reversed};
    const Frame source = checked_frame(frame, &normalisation.reversed);
    const Tensor whole = checked_tensor(out, frame, top, left);
    const float values[3] = {std::get<0>(pad), std::get<1>(pad), std::get<2>(pad)};
    Tensor part = whole;
    part.data = static_cast<char*>(whole.data) + top * whole.row_stride + left * whole.pixel_stride;
    part.height = rows_.count;
    part.width = columns_.count;
    const ptrdiff_t parts = part_count(threads, out);
    const py::gil_scoped_release released;
    fill_around(whole, values, top, left);
    in_parts(parts, [&](ptrdiff_t first, ptrdiff_t last) {
      write(source, normalisation, part, first, last);
    });
  }

 private:
  void prepare_bilinear() {
    low_.resize(static_cast<std::size_t>(rows_.count));
    weights_.resize(static_cast<std::size_t>(rows_.count + columns_.count));
    offsets_.resize(static_cast<std::size_t>(columns_.count));
    bilinear_taps(rows_, low_.data(), weights_.data());
    bilinear_taps(columns_, offsets_.data(), weights_.data() + rows_.count);
    for (int32_t& offset : offsets_) offset *= channels_;
    bilinear_ = {rows_,
                 columns_,
                 channels_,
                 low_.data(),
                 weights_.data(),
                 offsets_.data(),
                 weights_.data() + rows_.count};
    scratch_size_ = bilinear_scratch_size(bilinear_);
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

  Tensor checked_tensor(py::array& out, const py::array& frame, py::ssize_t top,
                        py::ssize_t left) const {
    const Element element = checked_element(out);
    if (out.ndim() != 3 || out.shape(2) < channels_ || (out.shape(2) != 1 && out.shape(2) != 3)) {
      throw py::value_error("out has the shape " + shape_text(out) + ", which is not (h, w, " +
                            (channels_ == 3 ? "3)" : "1 or 3)"));
    }
    if (top < 0 || left < 0 || top > out.shape(0) - rows_.count ||
        left > out.shape(1) - columns_.count) {
      throw py::value_error("out has the shape " + shape_text(out) + ", which does not hold " +
                            std::to_string(rows_.count) + " x " + std::to_string(columns_.count) +
                            " pixels from (" + std::to_string(top) + ", " + std::to_string(left) +
                            ")");
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

  void fill_around(const Tensor& tensor, const float values[3], ptrdiff_t top,
                   ptrdiff_t left) const {
    const ptrdiff_t bottom = top + rows_.count, right = left + columns_.count;
    fill(tensor, values, 0, top, 0, tensor.width);
    fill(tensor, values, top, bottom, 0, left);
    fill(tensor, values, top, bottom, right, tensor.width);
    fill(tensor, values, bottom, tensor.height, 0, tensor.width);
  }

  // How many threads so much work keeps busy for longer than it takes to start them.
  ptrdiff_t part_count(int threads, const py::array& out) const {
    constexpr ptrdiff_t kPartBytes = 4 << 20;  // some 0.2 ms
    const ptrdiff_t bytes = rows_.source * columns_.source * channels_ + out.nbytes();
    const ptrdiff_t parts = std::min<ptrdiff_t>(threads, bytes / kPartBytes);
    return std::max<ptrdiff_t>(1, std::min(parts, rows_.count));
  }

  // Calls write for all rows, in so many parts at once; the first one in this thread.
  template <typename Write>
  void in_parts(ptrdiff_t parts, const Write& write) const {
    std::atomic<bool> failed{false};
    const auto part = [&](ptrdiff_t i) {
      try {
        write(i * rows_.count / parts, (i + 1) * rows_.count / parts);
      } catch (const std::bad_alloc&) {  // nothing may leave a thread
        failed = true;
      }
    };
    std::vector<std::thread> others;
    others.reserve(static_cast<std::size_t>(parts));
    for (ptrdiff_t i = 1; i < parts; ++i) {
      try {
        others.emplace_back(part, i);
      } catch (const std::exception&) {  // no thread is to be had, or no memory for one
        part(i);
      }
    }
    part(0);
    for (std::thread& other : others) other.join();
    if (failed) throw std::bad_alloc();
  }

  void write(const Frame& frame, const Normalisation& normalisation, const Tensor& tensor,
             ptrdiff_t first, ptrdiff_t last) const {
    void* memory = scratch(scratch_size_);
    if (taps_.empty()) {
      bilinear(frame, bilinear_, normalisation, tensor, first, last, memory);
    } else {
      area(frame, area_, normalisation, tensor, first, last, memory);
    }
  }

  Span rows_, columns_;
  int channels_;
  ptrdiff_t scratch_size_ = 0;
  std::vector<int32_t> low_, offsets_;
  std::vector<int16_t> weights_;
  std::vector<AreaTap> taps_;
  BilinearPlan bilinear_{};
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
