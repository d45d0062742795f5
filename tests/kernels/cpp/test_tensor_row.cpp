#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../../../csrc/kernels/half.h"
#include "../../../csrc/kernels/tensor_row.h"
#include "random.h"

namespace hwrt {
namespace {

constexpr Element kElements[] = {Element::kFloat32, Element::kFloat16, Element::kUint8,
                                 Element::kInt8};

std::vector<char> stored(float number, Element element) {
  std::vector<char> bytes(static_cast<std::size_t>(size_of(element)));
  if (element == Element::kFloat32) std::memcpy(bytes.data(), &number, 4);
  if (element == Element::kFloat16) {
    const std::uint16_t half = half_from_float(number);
    std::memcpy(bytes.data(), &half, 2);
  }
  if (element == Element::kUint8) {
    const float level = std::nearbyint(std::fmin(std::fmax(number, 0.0f), 255.0f));
    bytes[0] = static_cast<char>(static_cast<std::uint8_t>(level));
  }
  if (element == Element::kInt8) {
    const float level = std::nearbyint(std::fmin(std::fmax(number, -128.0f), 127.0f));
    bytes[0] = static_cast<char>(static_cast<std::int8_t>(level));
  }
  return bytes;
}

// A tensor of one row within larger memory, its strides apart by some elements.
struct Row {
  std::vector<char> memory;
  Tensor tensor;

  Row(Element element, std::ptrdiff_t width, int channels, std::ptrdiff_t pixel_step,
      std::ptrdiff_t channel_step)
      : memory(
            static_cast<std::size_t>(64 + size_of(element) * ((width - 1) * std::abs(pixel_step) +
                                                              (channels - 1) * channel_step + 1)),
            '\x4d') {
    const std::ptrdiff_t size = size_of(element);
    const std::ptrdiff_t begin = pixel_step < 0 ? (1 - width) * pixel_step * size : 0;
    tensor = {memory.data() + 32 + begin, element, 1, width, channels, 0, pixel_step * size,
              channel_step * size};
  }
};

void check_row(Element element, std::ptrdiff_t width, int channels, std::ptrdiff_t pixel_step,
               std::ptrdiff_t channel_step) {
  Random random(static_cast<std::uint64_t>(width));
  Row row(element, width, channels, pixel_step, channel_step);
  std::vector<char> expected = row.memory;
  std::vector<float> numbers[3];
  float* rows[3];
  for (int c = 0; c < channels; ++c) {
    numbers[c] = random.floats(width + 16, -150.0f, 400.0f);
    numbers[c][0] = c == 0 ? 2.5f : -HUGE_VALF;
    for (std::ptrdiff_t x = 0; x < width; ++x) {
      const char* data = static_cast<char*>(row.tensor.data);
      const std::ptrdiff_t at =
          data - row.memory.data() + x * row.tensor.pixel_stride + c * row.tensor.channel_stride;
      const auto bytes = stored(numbers[c][static_cast<std::size_t>(x)], element);
      std::memcpy(expected.data() + at, bytes.data(), bytes.size());
    }
    rows[c] = numbers[c].data();
  }
  store_row(rows, row.tensor, 0);
  REQUIRE(expected == row.memory);
}

TEST_CASE("rows of every width are stored in every element and layout, and nothing beside them") {
  for (const Element element : kElements) {
    CAPTURE(size_of(element));
    for (std::ptrdiff_t width = 1; width <= 50; ++width) {
      CAPTURE(width);
      check_row(element, width, 3, 3, 1);           // pixels beside each other
      check_row(element, width, 3, 1, width + 5);   // planes
      check_row(element, width, 3, -2, 2 * width);  // backwards, apart
      check_row(element, width, 1, 1, 1);
      check_row(element, width, 1, 3, 1);
    }
  }
}

TEST_CASE("only dense float32 rows are written to at once") {
  float* rows[3];
  for (const Element element : kElements) {
    const Row dense(element, 9, 3, 1, 9), pixels(element, 9, 3, 3, 1);
    CHECK(direct_rows(dense.tensor, 0, rows) == (element == Element::kFloat32));
    CHECK_FALSE(direct_rows(pixels.tensor, 0, rows));
  }
}

TEST_CASE("a rectangle is filled and nothing beside it") {
  constexpr std::ptrdiff_t kHeight = 7, kWidth = 12;
  const float values[3] = {114.0f, -3.0f, 300.0f};
  for (const Element element : kElements) {
    for (const bool planar : {false, true}) {
      const std::ptrdiff_t size = size_of(element), plane = kHeight * kWidth;
      std::vector<char> memory(static_cast<std::size_t>(3 * plane * size), '\x4d');
      std::vector<char> expected = memory;
      const Tensor tensor{memory.data(),
                          element,
                          kHeight,
                          kWidth,
                          3,
                          kWidth * size * (planar ? 1 : 3),
                          size * (planar ? 1 : 3),
                          size * (planar ? plane : 1)};
      for (std::ptrdiff_t y = 2; y < 6; ++y) {
        for (std::ptrdiff_t x = 1; x < 10; ++x) {
          for (int c = 0; c < 3; ++c) {
            const auto bytes = stored(values[c], element);
            std::memcpy(expected.data() + y * tensor.row_stride + x * tensor.pixel_stride +
                            c * tensor.channel_stride,
                        bytes.data(), bytes.size());
          }
        }
      }
      fill(tensor, values, 2, 6, 1, 10);
      fill(tensor, values, 3, 3, 0, kWidth);
      fill(tensor, values, 0, kHeight, 5, 5);
      CHECK(expected == memory);
    }
  }
}

}  // namespace
}  // namespace hwrt
