#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "../../../csrc/kernels/target.h"

namespace hwrt {
namespace {

TEST_CASE("the target is the one that the tests were asked to run at") {
  const char* asked = std::getenv("HWRT_MAX_TARGET");
  CHECK(unknown_max_target() == nullptr);
  if (asked != nullptr) CHECK(std::string(target_name(current_target())) == asked);
}

TEST_CASE("every target's name is read back as itself") {
  for (int i = 0; i < kTargetCount; ++i) {
    Target target = Target::kCount;
    CHECK(parse_target(target_name(static_cast<Target>(i)), &target));
    CHECK(static_cast<int>(target) == i);
  }
}

TEST_CASE("another name is none of the targets") {
  Target target = Target::kScalar;
  for (const char* name : {"", "mmx", "Scalar", "scalar "})
    CHECK_FALSE(parse_target(name, &target));
}

TEST_CASE("a limit holds until it is lifted and raises nothing") {
  const Target best = best_target();
  limit_target(Target::kScalar);
  CHECK(current_target() == Target::kScalar);
  limit_target(static_cast<Target>(kTargetCount - 1));
  CHECK(current_target() == best);
}

}  // namespace
}  // namespace hwrt
