/* What our operations have in common: any number of float tensors in and out, on the CPU; a kernel is memory of its own. */
#pragma once
#include <stdlib.h>
#include "ort.h"

/* The operations of the domain "deit". */
extern const Operation chain_operation, attention_operation, attention_gradient_operation;

static inline void ORT_CALL destroy_kernel(void *kernel) { free(kernel); }
static inline const char *ORT_CALL on_cpu(const Operation *operation) { return (void)operation, NULL; }
static inline int ORT_CALL float_type(const Operation *operation, size_t i) { return (void)operation, (void)i, TENSOR_FLOAT; }
static inline int ORT_CALL any_number(const Operation *operation, size_t i) { return (void)operation, (void)i, VARIADIC; }
static inline int ORT_CALL default_memory(const Operation *operation, size_t i) { return (void)operation, (void)i, 0; }
static inline size_t ORT_CALL one_list(const Operation *operation) { return (void)operation, 1; }
static inline int ORT_CALL one(const Operation *operation) { return (void)operation, 1; }

#define COMMON_PARTS                                                                                                          \
  .version = ORT_VERSION, .provider = on_cpu, .input_type = float_type, .input_count = one_list, .output_type = float_type,    \
  .output_count = one_list, .destroy = destroy_kernel, .input_kind = any_number, .output_kind = any_number,                    \
  .input_memory = default_memory, .input_least = one, .input_same_type = one, .output_least = one, .output_same_type = one,    \
  .first_version = one, .last_version = one

/* The numbers of an input, and of an output once it has its shape. */
static inline OrtStatus *read_input(OrtApi api, const OrtKernelContext *context, size_t i, const float **data) {
  const OrtValue *value;
  void *found = NULL;
  OrtStatus *failure = ORT(api, KernelContext_GetInput)(context, i, &value);
  if (failure == NULL) failure = ORT(api, GetTensorMutableData)((OrtValue *)value, &found);
  *data = found;
  return failure;
}

static inline OrtStatus *make_output(OrtApi api, OrtKernelContext *context, size_t i, const int64_t *dims, size_t rank, float **data) {
  OrtValue *value;
  void *made = NULL;
  OrtStatus *failure = ORT(api, KernelContext_GetOutput)(context, i, dims, rank, &value);
  if (failure == NULL) failure = ORT(api, GetTensorMutableData)(value, &made);
  *data = made;
  return failure;
}
