#include "scratch.h"

#include <memory>
#include <vector>

namespace hwrt {

void* scratch(std::ptrdiff_t size) {
  constexpr std::size_t kAlignment = 64;
  thread_local std::vector<unsigned char> memory;
  const std::size_t wanted = static_cast<std::size_t>(size) + kAlignment;
  if (memory.size() < wanted) {
    memory.clear();  // nothing of it is to be copied
    memory.resize(wanted);
  }
  void* aligned = memory.data();
  std::size_t space = memory.size();
  return std::align(kAlignment, static_cast<std::size_t>(size), aligned, space);
}

}  // namespace hwrt
