// Numbers for tests, the same on every machine; the distributions of <random> are not.
#ifndef HWRT_TESTS_KERNELS_CPP_RANDOM_H_
#define HWRT_TESTS_KERNELS_CPP_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hwrt {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) {}

  // SplitMix64 (S. Vigna, public domain, https://prng.di.unimi.it/splitmix64.c).
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  int below(int end) { return static_cast<int>(next() % static_cast<std::uint64_t>(end)); }

  float between(float low, float high) {
    return low + (high - low) * (static_cast<float>(next() >> 40) / 16777216.0f);
  }

  // Exactly as many as are asked for, so that a sanitizer sees whoever reads on.
  std::vector<std::uint8_t> bytes(std::ptrdiff_t count) {
    std::vector<std::uint8_t> made(static_cast<std::size_t>(count));
    for (std::uint8_t& byte : made) byte = static_cast<std::uint8_t>(next());
    return made;
  }

  std::vector<float> floats(std::ptrdiff_t count, float low, float high) {
    std::vector<float> made(static_cast<std::size_t>(count));
    for (float& number : made) number = between(low, high);
    return made;
  }

 private:
  std::uint64_t state_;
};

}  // namespace hwrt

#endif  // HWRT_TESTS_KERNELS_CPP_RANDOM_H_
