// The tests of csrc/kernels.  HWRT_MAX_TARGET names the target that they run at; without it they
// run at the best that the CPU has.  test_cpp.py builds and runs them.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
