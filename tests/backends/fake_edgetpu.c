// Stands in for libedgetpu.so.1: a TFLite delegate that takes edgetpu-custom-op, which it computes
// as y = -x in float32.  The structs are the first members of those in TFLite's c/common.h.
//
// -DCRASH=1 crashes when it is loaded, -DCRASH=2 when it is given a model, as builds for another
// runtime do.  -DREFUSE says that there is no device, -DHANG never answers.  -DLOCK="FILE" lets one
// process at a time have the device, as the real one does.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct {
  int size;
  int data[];
} IntArray;
typedef struct {
  int type;
  union {
    float* f;
  } data;
  IntArray* dims;
  float scale;
  int32_t zero_point;
  int allocation_type;
  size_t bytes;
  void* rest[8];
} Tensor;
typedef struct {
  IntArray *inputs, *outputs;
} Node;
typedef struct Context Context;
typedef struct {
  void* (*init)(Context*, const char*, size_t);
  void (*free)(Context*, void*);
  int (*prepare)(Context*, Node*);
  int (*invoke)(Context*, Node*);
  const char* (*profiling_string)(const Context*, const Node*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
} Registration;
typedef struct Delegate Delegate;
struct Context {
  size_t tensors_size;
  int (*execution_plan)(Context*, IntArray**);
  Tensor* tensors;
  void* impl;
  void *resize_tensor, *report_error, *add_tensors;
  int (*node_and_registration)(Context*, int, Node**, Registration**);
  int (*replace)(Context*, Registration, const IntArray*, Delegate*);
};
struct Delegate {
  void* data;
  int (*prepare)(Context*, Delegate*);
  void* copies[3];
  int64_t flags;
  void* builder;
  int kernels;  // the fake's own
};

static void* kernel_init(Context* context, const char* parameters, size_t size) {
  (void)context, (void)size;
  Delegate* delegate = *(Delegate**)parameters;
  delegate->kernels++;
  return delegate;
}
static void kernel_free(Context* context, void* delegate) {
  (void)context;
  ((Delegate*)delegate)->kernels--;
}
static int kernel_prepare(Context* context, Node* node) {
  (void)context, (void)node;
  return 0;
}
static int kernel_invoke(Context* context, Node* node) {
  const Tensor* x = &context->tensors[node->inputs->data[0]];
  Tensor* y = &context->tensors[node->outputs->data[0]];
  for (size_t i = 0; i < x->bytes / sizeof(float); i++) y->data.f[i] = -x->data.f[i];
  return 0;
}
static int prepare(Context* context, Delegate* delegate) {
#if CRASH == 2
  *(volatile int*)0 = 0;
#endif
  IntArray* plan;
  if (context->execution_plan(context, &plan)) return 1;
  IntArray* taken = malloc(sizeof(int) * (plan->size + 1));
  taken->size = 0;
  for (int i = 0; i < plan->size; i++) {
    Node* node;
    Registration* registration;
    if (context->node_and_registration(context, plan->data[i], &node, &registration)) return 1;
    const char* name = registration->custom_name;
    if (name && !strcmp(name, "edgetpu-custom-op")) taken->data[taken->size++] = plan->data[i];
  }
  Registration kernel = {kernel_init,
                         kernel_free,
                         kernel_prepare,
                         kernel_invoke,
                         NULL,
                         51,
                         "EdgeTpuDelegateForCustomOp",
                         1,
                         NULL,
                         NULL,
                         0};
  int status = context->replace(context, kernel, taken, delegate);
  free(taken);
  return status;
}

#if CRASH == 1
__attribute__((constructor)) static void crash(void) { *(volatile int*)0 = 0; }
#endif

static int lock = -1, users = 0;

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count,
                                        void (*report_error)(const char*)) {
#ifdef HANG
  for (;;) pause();
#endif
#ifdef REFUSE
  report_error("no device of the fake");
  return NULL;
#endif
  if (count != 1 || strcmp(keys[0], "device") || strcmp(values[0], "usb:0")) {
    report_error("the fake is usb:0");
    return NULL;
  }
#ifdef LOCK
  if (!users) lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (!users && flock(lock, LOCK_EX | LOCK_NB)) {
    close(lock);
    report_error("another process has the fake");
    return NULL;
  }
  usleep(100000);
#endif
  users++;
  Delegate* delegate = calloc(1, sizeof(Delegate));
  delegate->prepare = prepare;
  delegate->flags = 1;  // kTfLiteDelegateFlagsAllowDynamicTensors: prepared after it took its nodes
  return delegate;
}
void tflite_plugin_destroy_delegate(Delegate* delegate) {
  if (delegate && delegate->kernels) abort();  // the interpreter should have gone before
  if (delegate && !--users && lock >= 0) close(lock);
  free(delegate);
}
