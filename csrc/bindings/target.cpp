#include "../kernels/target.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings.h"

namespace hwrt {
namespace {

std::string all_names() {
  std::string names;
  for (int i = 0; i < kTargetCount; ++i) {
    names += (i == 0 ? "" : ", ") + std::string(target_name(static_cast<Target>(i)));
  }
  return names;
}

void check_environment() {
  const char* unknown = unknown_max_target();
  if (unknown == nullptr) return;
  throw py::value_error("HWRT_MAX_TARGET is '" + std::string(unknown) +
                        "', which is none of this machine's: " + all_names());
}

py::tuple targets() {
  check_environment();
  const int count = static_cast<int>(best_target()) + 1;
  py::tuple names(count);
  for (int i = 0; i < count; ++i) names[i] = target_name(static_cast<Target>(i));
  return names;
}

std::string current() {
  check_environment();
  return target_name(current_target());
}

void limit(const std::optional<std::string>& name) {
  Target target = static_cast<Target>(kTargetCount - 1);
  if (name && !parse_target(name->c_str(), &target)) {
    throw py::value_error("the target '" + *name + "' is none of this machine's: " + all_names());
  }
  limit_target(target);
}

}  // namespace

void bind_target(py::module_& module) {
  module.def("targets", &targets, "The targets that this machine can run, lowest first.");
  module.def("current_target", &current, "The target that kernels use.");
  module.def("limit_target", &limit, py::arg("name"),
             "Let kernels use no higher target, in every thread; None lifts the limit.");
}

}  // namespace hwrt
