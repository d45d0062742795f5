// Memory for one call of a kernel.
#ifndef HWRT_CSRC_BINDINGS_SCRATCH_H_
#define HWRT_CSRC_BINDINGS_SCRATCH_H_

#include <cstddef>

namespace hwrt {

// At least size bytes, aligned to 64.  This thread keeps them for its next call, which gets the
// same: one call at a time.  Throws std::bad_alloc.
void* scratch(std::ptrdiff_t size);

}  // namespace hwrt

#endif  // HWRT_CSRC_BINDINGS_SCRATCH_H_
