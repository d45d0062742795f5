// Writes what the kernels make of the same inputs at one target, for test_cpp.py to compare.
//
//   outputs TARGET    a line "name type count" and the bytes of each result, to stdout
//
// Exits with 3 where this CPU does not have the target.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "../../../csrc/kernels/argmax_map.h"
#include "../../../csrc/kernels/quantize.h"
#include "../../../csrc/kernels/softmax_top_k.h"
#include "../../../csrc/kernels/target.h"
#include "heads.h"
#include "maps.h"
#include "random.h"
#include "resampling.h"
#include "yuv_frames.h"

namespace hwrt {
namespace {

void write(const std::string& name, const char* type, std::size_t count, const void* data,
           std::size_t bytes) {
  std::printf("%s %s %zu\n", name.c_str(), type, count);
  std::fwrite(data, 1, bytes, stdout);
}

template <typename T>
void write(const std::string& name, const char* type, const std::vector<T>& numbers) {
  write(name, type, numbers.size(), numbers.data(), numbers.size() * sizeof(T));
}

constexpr const char* kTypes[] = {"float32", "float16", "uint8", "int8"};  // by Element

void write_resampled() {
  const Normalisation normalised{{0.0171f, 0.0175f, 0.0174f}, {-2.118f, -2.036f, -1.804f}, true};
  const Span columns[] = {whole(97, 33),  whole(97, 97),   whole(64, 32), whole(40, 64),
                          whole(500, 41), {90, 50, 7, 29}, whole(16, 5),  whole(300, 100)};
  int number = 0;
  for (const Span& across : columns) {
    for (int i = 0; i < 16; ++i) {
      const auto element = static_cast<Element>(i % 4);
      const int channels = i % 8 < 4 ? 3 : 1;
      const bool area = i >= 8;
      const Span down = whole(23, 3 + number % 29);
      Random random(static_cast<std::uint64_t>(++number));
      const auto pixels = random.bytes(down.source * across.source * channels);
      for (const bool scaled : {false, true}) {
        if (scaled && element != Element::kFloat32 && element != Element::kFloat16) continue;
        const Resampling how{down,    across,         channels,
                             3,       area,           scaled ? normalised : kLevels,
                             element, number % 2 == 0};
        const std::vector<char> out = resampled(pixels, how);
        const auto size = static_cast<std::size_t>(size_of(element));
        const std::string name = std::string(area ? "area" : "bilinear") +
                                 (scaled ? "-normalised-" : "-levels-") + std::to_string(number);
        write(name, kTypes[i % 4], out.size() / size, out.data(), out.size());
      }
    }
  }
}

void write_found(const std::string& name, const Found& found) {
  write(name + "-boxes", "float32", found.boxes);
  write(name + "-scores", "float32", found.scores);
  write(name + "-classes", "int32", found.classes);
}

void write_yolo() {
  const BoxMap map{{1, 1}, {2, 6}, {0.5, 0.7}, {100, 90}, true};
  for (const int anchors : {1, 7, 16, 33, 500, 1300}) {
    const std::string name = std::to_string(anchors);
    const auto rows = messy_head(static_cast<std::uint64_t>(anchors), anchors, 24);
    const YoloThresholds thresholds{0.25f, 0.45, 300, anchors % 2 == 0};
    const HeadElement floats = HeadElement::kFloat32;
    write_found("yolo-rows-" + name, find(rows_head(rows, floats, anchors), thresholds, map));
    const auto other = transposed(rows, anchors);
    write_found("yolo-objectness-" + name,
                find(anchors_head(other, floats, anchors, true), thresholds));
    Random random(static_cast<std::uint64_t>(anchors));
    const auto bytes = random.bytes(anchors * 24);
    for (const HeadElement element : {HeadElement::kUint8, HeadElement::kInt8}) {
      const std::string sign = element == HeadElement::kUint8 ? "uint8-" : "int8-";
      write_found("yolo-" + sign + name, find(rows_head(bytes, element, anchors), thresholds));
    }
  }
}

template <typename T>
void write_quantised(const char* type, Integer integer) {
  Random random(11);
  for (const std::ptrdiff_t count : {1, 7, 33, 1000}) {
    const auto x = random.floats(count, -200.0f, 200.0f);
    std::vector<T> q(x.size());
    std::vector<float> back(x.size());
    const QuantizationStep step{0.0117f, 5.0f};
    quantize(x.data(), count, step, integer, q.data());
    dequantize(q.data(), count, step, integer, back.data());
    const std::string name = std::string(type) + "-" + std::to_string(count);
    write("quantize-" + name, type, q);
    write("dequantize-" + name, "float32", back);
  }
}

void write_top_k() {
  Random random(12);
  for (const std::ptrdiff_t count : {1, 5, 8, 33, 1000}) {
    auto logits = random.floats(9 * count, -30, 30);
    for (std::size_t i = 0; i < logits.size(); i += 11) logits[i] = -HUGE_VALF;
    const std::ptrdiff_t k = count < 7 ? count : 7;
    for (const bool softmax : {false, true}) {
      std::vector<std::int32_t> classes(static_cast<std::size_t>(9 * k));
      std::vector<float> scores(classes.size());
      softmax_top_k({logits.data(), 9, count, count}, k, softmax, classes.data(), scores.data());
      const std::string name = (softmax ? "softmax-" : "top-") + std::to_string(count);
      write(name + "-classes", "int32", classes);
      write(name + (softmax ? "-probabilities" : "-logits"), "float32", scores);
    }
  }
}

void write_yuv() {
  for (const bool packed : {false, true}) {
    for (const std::ptrdiff_t width : {2, 14, 66, 300}) {
      for (const std::ptrdiff_t target : {1, 7, 33, 64}) {
        const YuvPixels frame(10, width, packed);
        const std::string name =
            (packed ? "packed-" : "planes-") + std::to_string(width) + "-" + std::to_string(target);
        write("yuv-normalised-" + name, "float32",
              frame.converted(whole(10, 7), whole(width, target), kYuvNormalised));
      }
    }
  }
}

void write_maps() {
  for (const bool planar : {true, false}) {
    for (const std::ptrdiff_t classes : {2, 5, 9, 21}) {
      for (const std::ptrdiff_t width : {1, 7, 33}) {
        const Map map(13, width, classes, planar);
        const std::string name = (planar ? "planar-" : "interleaved-") + std::to_string(classes) +
                                 "-" + std::to_string(width);
        write("argmax-" + name, "uint8", map.classes());
        write("argmax-larger-" + name, "uint8", map.resized({0, 13, 13, 40}, {0, 33, width, 71}));
        write("argmax-part-" + name, "uint8", map.resized({2.3, 7.1, 13, 5}, {0.4, 3, width, 9}));
      }
    }
  }
}

}  // namespace
}  // namespace hwrt

int main(int argc, char** argv) {
  hwrt::Target target;
  if (argc != 2 || !hwrt::parse_target(argv[1], &target)) return 2;
  hwrt::limit_target(target);
  if (hwrt::current_target() != target) return 3;
  hwrt::write_resampled();
  hwrt::write_yolo();
  hwrt::write_quantised<std::uint8_t>("uint8", hwrt::Integer::kUint8);
  hwrt::write_quantised<std::int8_t>("int8", hwrt::Integer::kInt8);
  hwrt::write_quantised<std::uint16_t>("uint16", hwrt::Integer::kUint16);
  hwrt::write_quantised<std::int16_t>("int16", hwrt::Integer::kInt16);
  hwrt::write_top_k();
  hwrt::write_maps();
  hwrt::write_yuv();
  return 0;
}
