// What the bindings share that write a model's input from frames.
#ifndef HWRT_CSRC_BINDINGS_RESAMPLING_H_
#define HWRT_CSRC_BINDINGS_RESAMPLING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <thread>
#include <tuple>
#include <vector>

#include "../kernels/bilinear.h"
#include "../kernels/image.h"
#include "bindings.h"

namespace hwrt {

using SpanTuple = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
using Floats = std::tuple<float, float, float>;

// Raises unless it is a span.
Span checked_span(const SpanTuple& given, const char* name);

// Where a frame goes to: so many rows and columns of a tensor, from top and left on.
struct Place {
  std::ptrdiff_t top, left, rows, columns;
};

// The whole of out (h, w, C).  Raises unless it takes frames of so many channels, holds the place,
// can be written, is aligned and shares no memory with the frame.
Tensor checked_tensor(py::array& out, const py::array& frame, int channels, const Place& place);

// The tensor's part at the place.
Tensor part_of(const Tensor& whole, const Place& place);

// Writes values around the place.
void fill_around(const Tensor& tensor, const Floats& values, const Place& place);

// How many threads, at most so many, a work of so many bytes keeps busy for longer than it takes to
// start them.
std::ptrdiff_t part_count(int threads, std::ptrdiff_t bytes, std::ptrdiff_t rows);

Normalisation normalisation_of(const Floats& scale, const Floats& bias, bool reversed);

// Calls write(first, last) for all rows, in so many parts at once; the first one in this thread.
// Raises std::bad_alloc where one did.
template <typename Write>
void in_parts(std::ptrdiff_t parts, std::ptrdiff_t rows, const Write& write) {
  std::atomic<bool> failed{false};
  const auto part = [&](std::ptrdiff_t i) {
    try {
      write(i * rows / parts, (i + 1) * rows / parts);
    } catch (const std::bad_alloc&) {  // nothing may leave a thread
      failed = true;
    }
  };
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(parts));
  for (std::ptrdiff_t i = 1; i < parts; ++i) {
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

// A plan and the arrays that it points to; it is not copied.
struct OwnedBilinearPlan {
  std::vector<std::int32_t> low, offsets;
  std::vector<std::int16_t> weights;
  BilinearPlan plan{};

  OwnedBilinearPlan() = default;
  OwnedBilinearPlan(const Span& rows, const Span& columns, int channels, bool whole_rows = false);
  OwnedBilinearPlan(const OwnedBilinearPlan&) = delete;
  OwnedBilinearPlan& operator=(const OwnedBilinearPlan&) = delete;
  OwnedBilinearPlan(OwnedBilinearPlan&&) = default;
  OwnedBilinearPlan& operator=(OwnedBilinearPlan&&) = default;
};

}  // namespace hwrt

#endif  // HWRT_CSRC_BINDINGS_RESAMPLING_H_
