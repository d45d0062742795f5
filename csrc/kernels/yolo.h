// From the output of a YOLO head to detections: best classes, threshold, non-maximum suppression.
#ifndef HWRT_CSRC_KERNELS_YOLO_H_
#define HWRT_CSRC_KERNELS_YOLO_H_

#include <cstddef>
#include <cstdint>

namespace hwrt {

enum class HeadElement { kFloat32, kUint8, kInt8 };

// One image's output.  Number i of anchor a lies at data + i * number_stride + a * anchor_stride
// (bytes, of any sign), and one of the two strides is the element's size.  Integers stand for
// (q - zero_point) * scale, computed in float32; scale is finite and above 0.
//
// Numbers 0..3 are the box's centre x, centre y, width and height.  The scores of the classes
// follow, after an objectness by which they are multiplied where there is one.
struct YoloHead {
  const void* data;
  HeadElement element;
  std::ptrdiff_t anchors;
  std::ptrdiff_t classes;
  std::ptrdiff_t number_stride;
  std::ptrdiff_t anchor_stride;
  bool objectness;
  float scale;
  float zero_point;
};

// The numbers of a box are multiplied by unit (x and y each; the input's size where the head gives
// fractions of it, else 1) in float32.  Where the map is bounded, the corners of kept boxes are
// then made to the pixels of a frame, (corner - pad) / scale, and held within 0..limit.
struct BoxMap {
  float unit[2];
  double pad[2];
  double scale[2];
  double limit[2];
  bool bounded;
};

struct YoloThresholds {
  float conf;
  double iou;
  std::ptrdiff_t max_det;
  bool class_agnostic;
};

// Where the detections go: max_det of each, the boxes as x0, y0, x1, y1.
struct YoloDetections {
  float* boxes;
  float* scores;
  std::int32_t* classes;
};

// Bytes of scratch memory for such a head.
std::ptrdiff_t yolo_scratch_size(const YoloHead& head, std::ptrdiff_t max_det) noexcept;

// Writes the detections, best first, and returns how many there are.
//
// An anchor counts with its best class, the lower one of equals, where that score is above conf
// (and so is its objectness); a NaN is no score.  Of anchors with equal scores the lower comes
// first.  Boxes with a NaN are dropped.  Then KeptBoxes decides, among boxes of one class or, with
// class_agnostic, of all; corners are computed in double precision.  0 <= conf; scratch is aligned
// to 64 bytes.
std::ptrdiff_t yolo_detections(const YoloHead& head, const YoloThresholds& thresholds,
                               const BoxMap& map, const YoloDetections& out,
                               void* scratch) noexcept;

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_YOLO_H_
