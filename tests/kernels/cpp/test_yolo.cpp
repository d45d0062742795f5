#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "../../../csrc/kernels/yolo.h"
#include "boxes.h"
#include "heads.h"

namespace hwrt {
namespace {

constexpr int kAnchors[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 511, 512, 513, 900};

// From rows of floats, by plain loops in double.
Found found_by_loops(const std::vector<float>& rows, int anchors, bool objectness,
                     const YoloThresholds& thresholds) {
  const auto width = static_cast<std::size_t>(anchors);
  const std::size_t begin = objectness ? 5 : 4, numbers = rows.size() / width;
  const auto at = [&](std::size_t row, std::size_t i) { return rows[row * width + i]; };
  std::vector<float> scores;
  std::vector<std::int32_t> classes;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < width; ++i) {
    float best = -HUGE_VALF;
    std::size_t row = begin;
    for (std::size_t r = begin; r < numbers; ++r) {
      if (at(r, i) > best) best = at(row = r, i);
    }
    scores.push_back(objectness ? best * at(4, i) : best);
    classes.push_back(static_cast<std::int32_t>(row - begin));
    const bool certain = !objectness || at(4, i) > thresholds.conf;
    const bool numeric = !std::isnan(at(0, i) - at(2, i)) && !std::isnan(at(1, i) - at(3, i)) &&
                         !std::isnan(at(0, i) + at(2, i)) && !std::isnan(at(1, i) + at(3, i));
    if (certain && scores.back() > thresholds.conf && numeric) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<Box> boxes;
  std::vector<std::int32_t> groups;
  for (const std::size_t i : order) {
    const double x = at(0, i), y = at(1, i), w = at(2, i) / 2.0, h = at(3, i) / 2.0;
    boxes.push_back({{x - w, y - h, x + w, y + h}});
    groups.push_back(thresholds.class_agnostic ? 0 : classes[i]);
  }
  Found found;
  const auto most = static_cast<std::size_t>(thresholds.max_det);
  for (const int i : kept_by_loops(boxes, groups, thresholds.iou, most)) {
    const auto place = static_cast<std::size_t>(i);
    for (const double corner : boxes[place].corners) {
      found.boxes.push_back(static_cast<float>(corner));
    }
    found.scores.push_back(scores[order[place]]);
    found.classes.push_back(classes[order[place]]);
  }
  return found;
}

TEST_CASE("detections are those of plain loops at every number of anchors around a vector") {
  for (const int anchors : kAnchors) {
    for (const int classes : {1, 2, 5, 80}) {
      for (const bool agnostic : {false, true}) {
        CAPTURE(anchors);
        CAPTURE(classes);
        const YoloThresholds thresholds{0.25f, 0.45, 300, agnostic};
        const auto rows = messy_head(static_cast<std::uint64_t>(anchors), anchors, 4 + classes);
        const Found expected = found_by_loops(rows, anchors, false, thresholds);
        CHECK(expected == find(rows_head(rows, HeadElement::kFloat32, anchors), thresholds));
        const auto other = transposed(rows, anchors);
        CHECK(expected ==
              find(anchors_head(other, HeadElement::kFloat32, anchors, false), thresholds));
      }
    }
  }
}

TEST_CASE("an objectness is multiplied in") {
  for (const int anchors : kAnchors) {
    for (const int classes : {1, 2, 80, 600}) {
      CAPTURE(anchors);
      CAPTURE(classes);
      const YoloThresholds thresholds{0.25f, 0.45, 300, false};
      const auto rows = messy_head(static_cast<std::uint64_t>(anchors), anchors, 5 + classes);
      const Found expected = found_by_loops(rows, anchors, true, thresholds);
      const auto other = transposed(rows, anchors);
      CHECK(expected ==
            find(anchors_head(other, HeadElement::kFloat32, anchors, true), thresholds));
    }
  }
}

// The same numbers once as bytes and once as the floats that these stand for.
template <typename T>
void check_bytes(HeadElement element, int anchors, int classes, float conf) {
  Random random(static_cast<std::uint64_t>(anchors * 100 + classes));
  std::vector<T> bytes;
  std::vector<float> floats;
  for (int i = 0; i < anchors * (4 + classes); ++i) {
    bytes.push_back(static_cast<T>(random.next()));
    floats.push_back((static_cast<float>(bytes.back()) + 3.0f) * 0.0117f);
  }
  const YoloThresholds thresholds{conf, 0.45, 300, false};
  const Found expected = found_by_loops(floats, anchors, false, thresholds);
  CHECK(expected == find(rows_head(bytes, element, anchors), thresholds));
  const auto other = transposed(bytes, anchors);
  CHECK(expected == find(anchors_head(other, element, anchors, false), thresholds));
}

TEST_CASE("bytes stand for the numbers of their scale and zero point") {
  for (const int anchors : kAnchors) {
    for (const int classes : {1, 3, 80}) {
      for (const float conf : {0.0f, 0.25f, 1.4f, 2.9f}) {
        CAPTURE(anchors);
        CAPTURE(classes);
        CAPTURE(conf);
        check_bytes<std::uint8_t>(HeadElement::kUint8, anchors, classes, conf);
        check_bytes<std::int8_t>(HeadElement::kInt8, anchors, classes, conf);
      }
    }
  }
}

TEST_CASE("max_det ends the detections and none are looked for at 0") {
  const auto rows = messy_head(3, 500, 7);
  const YoloHead head = rows_head(rows, HeadElement::kFloat32, 500);
  for (const std::ptrdiff_t most : {0, 1, 2, 16, 17, 600}) {
    const YoloThresholds thresholds{0.25f, 0.45, most, false};
    CHECK(found_by_loops(rows, 500, false, thresholds) == find(head, thresholds));
  }
}

TEST_CASE("boxes are brought into the frame and held within it") {
  const std::vector<float> rows{10, 20, 40, 8, 0.5f};
  const BoxMap map{{2, 1}, {2, 6}, {0.5, 2}, {100, 4}, true};
  const Found found = find(rows_head(rows, HeadElement::kFloat32, 1), {0.25f, 0.45, 9, false}, map);
  CHECK(found.boxes == std::vector<float>{0, 4, 100, 4});
}

}  // namespace
}  // namespace hwrt
