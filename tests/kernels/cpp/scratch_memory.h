// Memory aligned to 64 bytes and not a byte longer than asked for.
#ifndef HWRT_TESTS_KERNELS_CPP_SCRATCH_MEMORY_H_
#define HWRT_TESTS_KERNELS_CPP_SCRATCH_MEMORY_H_

#include <cstddef>
#include <cstring>
#include <new>

namespace hwrt {

class ScratchMemory {
 public:
  explicit ScratchMemory(std::ptrdiff_t size)
      : memory_(::operator new(static_cast<std::size_t>(size), kAlignment)) {
    std::memset(memory_, 0xcd, static_cast<std::size_t>(size));  // kernels expect nothing of it
  }
  ScratchMemory(const ScratchMemory&) = delete;
  ScratchMemory& operator=(const ScratchMemory&) = delete;
  ~ScratchMemory() { ::operator delete(memory_, kAlignment); }

  void* get() const { return memory_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  void* memory_;
};

}  // namespace hwrt

#endif  // HWRT_TESTS_KERNELS_CPP_SCRATCH_MEMORY_H_
