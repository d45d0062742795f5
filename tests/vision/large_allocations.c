/* Counts the process's allocations of at least `least` bytes; loaded by LD_PRELOAD.
 *
 * mmap is counted where it asks for anonymous memory: what malloc itself asks of the system, glibc
 * calls by another name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static size_t least_size = (size_t)-1;
static size_t found;

static void note(size_t size) {
  if (size >= __atomic_load_n(&least_size, __ATOMIC_RELAXED)) {
    __atomic_add_fetch(&found, 1, __ATOMIC_RELAXED);
  }
}

void count_allocations_from(size_t least) {
  __atomic_store_n(&found, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&least_size, least, __ATOMIC_RELAXED);
}

size_t counted_allocations(void) { return __atomic_load_n(&found, __ATOMIC_RELAXED); }

void *malloc(size_t size) {
  note(size);
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  note(count * size);
  return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
  note(size);
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  note(size);
  *out = __libc_memalign(alignment, size);
  return *out == NULL ? ENOMEM : 0;
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
  static void *(*next)(void *, size_t, int, int, int, off_t);
  if (next == NULL) next = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
  if (flags & MAP_ANONYMOUS) note(length);
  return next(address, length, protection, flags, file, offset);
}
