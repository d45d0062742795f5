#include "../kernels/yolo.h"

#include <pybind11/stl.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>

#include "../kernels/kept_boxes.h"
#include "bindings.h"
#include "scratch.h"

namespace hwrt {
namespace {

using std::int32_t;
using std::int64_t;
using std::ptrdiff_t;

// pad x and y, scale x and y, limit x and y.
using MapTuple = std::tuple<double, double, double, double, double, double>;

YoloHead checked_head(const py::array& numbers, bool objectness, float scale, float zero_point) {
  YoloHead head{};
  if (py::isinstance<py::array_t<float>>(numbers)) {
    head.element = HeadElement::kFloat32;
  } else if (py::isinstance<py::array_t<std::uint8_t>>(numbers)) {
    head.element = HeadElement::kUint8;
  } else if (py::isinstance<py::array_t<std::int8_t>>(numbers)) {
    head.element = HeadElement::kInt8;
  } else {
    throw py::type_error("the head is " + py::str(numbers.dtype()).cast<std::string>() +
                         ", not float32, uint8 or int8");
  }
  const ptrdiff_t box_numbers = objectness ? 5 : 4;
  if (numbers.ndim() != 2 || numbers.shape(0) <= box_numbers || numbers.shape(0) >= (1 << 24) ||
      numbers.shape(1) > INT32_MAX) {
    throw py::value_error("the head has the shape " + shape_text(numbers) + ", not (" +
                          std::to_string(box_numbers) + " + classes, anchors)");
  }
  const ptrdiff_t size = numbers.itemsize();
  head.data = numbers.data();
  head.anchors = numbers.shape(1);
  head.classes = numbers.shape(0) - box_numbers;
  // NumPy leaves the strides of an array of size 0, and that of a dimension of size 1, to chance.
  head.number_stride = head.anchors > 0 ? numbers.strides(0) : size;
  head.anchor_stride = head.anchors > 1 ? numbers.strides(1) : size;
  const bool aligned = reinterpret_cast<std::uintptr_t>(head.data) % size == 0 &&
                       head.number_stride % size == 0 && head.anchor_stride % size == 0;
  if (!aligned || (head.anchor_stride != size && head.number_stride != size)) {
    throw py::value_error("the head has strides of " + std::to_string(head.number_stride) +
                          " and " + std::to_string(head.anchor_stride) + " bytes, none of them " +
                          std::to_string(size));
  }
  if (head.anchor_stride != size || objectness) {
    if (head.number_stride != size) {
      throw py::value_error("the numbers of an anchor are " + std::to_string(head.number_stride) +
                            " bytes apart, not " + std::to_string(size));
    }
  }
  if (!(scale > 0.0f && scale <= std::numeric_limits<float>::max())) {
    throw py::value_error("scale is " + std::to_string(scale) + ", not finite and above 0");
  }
  head.objectness = objectness;
  head.scale = scale;
  head.zero_point = zero_point;
  return head;
}

BoxMap checked_map(const std::tuple<float, float>& unit, const std::optional<MapTuple>& given) {
  BoxMap map{{std::get<0>(unit), std::get<1>(unit)}, {0, 0}, {1, 1}, {0, 0}, given.has_value()};
  if (!given) return map;
  const auto [pad_x, pad_y, scale_x, scale_y, limit_x, limit_y] = *given;
  map.pad[0] = pad_x, map.pad[1] = pad_y;
  map.scale[0] = scale_x, map.scale[1] = scale_y;
  map.limit[0] = limit_x, map.limit[1] = limit_y;
  return map;
}

ptrdiff_t run_yolo(const py::array& numbers, bool objectness, float scale, float zero_point,
                   float conf, double iou, bool class_agnostic,
                   const std::tuple<float, float>& unit, const std::optional<MapTuple>& map,
                   py::array boxes, py::array scores, py::array classes) {
  const YoloHead head = checked_head(numbers, objectness, scale, zero_point);
  const BoxMap box_map = checked_map(unit, map);
  float* boxes_out = output<float>(boxes, "boxes", 2);
  const ptrdiff_t most = boxes.shape(0);
  const YoloDetections out{boxes_out, output<float>(scores, "scores", 1),
                           output<int32_t>(classes, "classes", 1)};
  if (boxes.shape(1) != 4 || scores.shape(0) != most || classes.shape(0) != most) {
    throw py::value_error("boxes has the shape " + shape_text(boxes) + ", scores " +
                          shape_text(scores) + ", classes " + shape_text(classes) +
                          ", not (n, 4), (n,), (n,)");
  }
  if (!(conf >= 0.0f)) throw py::value_error("conf is " + std::to_string(conf) + ", not 0 or more");
  const YoloThresholds thresholds{conf, iou, most, class_agnostic};
  const py::gil_scoped_release released;
  return yolo_detections(head, thresholds, box_map, out, scratch(yolo_scratch_size(head, most)));
}

ptrdiff_t run_nms(const py::array& order, const py::array& boxes, const py::array& groups,
                  double iou, py::array kept) {
  check_array<int64_t>(order, "order", 1);
  check_array<double>(boxes, "boxes", 2);
  check_array<int32_t>(groups, "groups", 1);
  int64_t* out = output<int64_t>(kept, "kept", 1);
  constexpr auto kDense = py::array::c_style;
  if (!(order.flags() & boxes.flags() & groups.flags() & kDense) || boxes.shape(1) != 4 ||
      groups.shape(0) != boxes.shape(0)) {
    throw py::value_error("boxes has the shape " + shape_text(boxes) + ", groups " +
                          shape_text(groups) + "; they are C-contiguous (n, 4) and (n,)");
  }
  const ptrdiff_t count = order.shape(0), total = boxes.shape(0);
  const ptrdiff_t most = kept.shape(0) < count ? kept.shape(0) : count;
  const auto* numbers = static_cast<const int64_t*>(order.data());
  const auto* corners = static_cast<const Box*>(boxes.data());
  const auto* group = static_cast<const int32_t*>(groups.data());
  for (ptrdiff_t i = 0; i < count; ++i) {
    if (numbers[i] < 0 || numbers[i] >= total) {
      throw py::value_error("order has " + std::to_string(numbers[i]) + " for " +
                            std::to_string(total) + " boxes");
    }
  }
  for (ptrdiff_t i = 0; i < total; ++i) {
    if (group[i] < 0 || group[i] >= (1 << 24)) {
      throw py::value_error("groups has " + std::to_string(group[i]) + ", not 0 to 16777215");
    }
  }
  const py::gil_scoped_release released;
  KeptBoxes keeper(scratch(kept_boxes_size(most)), iou);
  for (ptrdiff_t i = 0; i < count && keeper.count() < most; ++i) {
    const ptrdiff_t place = keeper.count();
    if (keeper.offer(corners[numbers[i]], group[numbers[i]])) out[place] = numbers[i];
  }
  return keeper.count();
}

}  // namespace

void bind_yolo(py::module_& module) {
  module.def("yolo_detections", &run_yolo, py::arg("numbers").noconvert(), py::arg("objectness"),
             py::arg("scale"), py::arg("zero_point"), py::arg("conf"), py::arg("iou"),
             py::arg("class_agnostic"), py::arg("unit"), py::arg("to_frame"),
             py::arg("boxes").noconvert(), py::arg("scores").noconvert(),
             py::arg("classes").noconvert(),
             "Fill boxes, scores and classes from a head; return how many there are.");
  module.def("nms", &run_nms, py::arg("order").noconvert(), py::arg("boxes").noconvert(),
             py::arg("groups").noconvert(), py::arg("iou"), py::arg("kept").noconvert(),
             "Fill kept with the numbers of the boxes to keep; return how many there are.");
}

}  // namespace hwrt
