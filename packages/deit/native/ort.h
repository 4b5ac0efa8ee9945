/*
 * The part of ONNX Runtime's C interface that is used here. Its table of functions only ever grows at its end, so a place in
 * it means the same function in every later version (onnxruntime_c_api.h, "ORT_API_VERSION").
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define ORT_CALL __stdcall
#else
#define ORT_CALL
#endif

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtValue OrtValue;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;

/* Pointers to functions, by place. */
typedef void (*const *OrtApi)(void);

typedef struct {
  OrtApi(ORT_CALL *GetApi)(uint32_t version);
  const char *(ORT_CALL *GetVersionString)(void);
} OrtApiBase;

/* Of the oldest ONNX Runtime that has all of the functions below: 1.17. */
#define ORT_VERSION 17

/* An argument of an operation: any number of tensors, all of one type. */
enum { VARIADIC = 2, TENSOR_FLOAT = 1 };

/* How an operation is described to ONNX Runtime: struct OrtCustomOp. */
typedef struct Operation Operation;
struct Operation {
  uint32_t version;
  void *(ORT_CALL *create)(const Operation *, OrtApi, const OrtKernelInfo *);
  const char *(ORT_CALL *name)(const Operation *);
  const char *(ORT_CALL *provider)(const Operation *);
  int(ORT_CALL *input_type)(const Operation *, size_t);
  size_t(ORT_CALL *input_count)(const Operation *);
  int(ORT_CALL *output_type)(const Operation *, size_t);
  size_t(ORT_CALL *output_count)(const Operation *);
  void(ORT_CALL *compute)(void *, OrtKernelContext *);
  void(ORT_CALL *destroy)(void *);
  int(ORT_CALL *input_kind)(const Operation *, size_t);
  int(ORT_CALL *output_kind)(const Operation *, size_t);
  int(ORT_CALL *input_memory)(const Operation *, size_t);
  int(ORT_CALL *input_least)(const Operation *);
  int(ORT_CALL *input_same_type)(const Operation *);
  int(ORT_CALL *output_least)(const Operation *);
  int(ORT_CALL *output_same_type)(const Operation *);
  OrtStatus *(ORT_CALL *create_or_fail)(const Operation *, OrtApi, const OrtKernelInfo *, void **);
  OrtStatus *(ORT_CALL *compute_or_fail)(void *, OrtKernelContext *);
  OrtStatus *(ORT_CALL *infer_shapes)(const Operation *, void *);
  int(ORT_CALL *first_version)(const Operation *);
  int(ORT_CALL *last_version)(const Operation *);
};

/* ORT(api, Name)(arguments…) */
#define ORT(api, name) ((Ort##name)(api)[ORT_PLACE_##name])

#define ORT_FUNCTION(name, place, result, ...)      \
  enum { ORT_PLACE_##name = place };                \
  typedef result(ORT_CALL *Ort##name)(__VA_ARGS__);

ORT_FUNCTION(CreateStatus, 0, OrtStatus *, int code, const char *message)
ORT_FUNCTION(GetErrorMessage, 2, const char *, const OrtStatus *)
ORT_FUNCTION(CreateEnv, 3, OrtStatus *, int level, const char *name, OrtEnv **)
ORT_FUNCTION(CreateSessionFromArray, 8, OrtStatus *, const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession **)
ORT_FUNCTION(Run, 9, OrtStatus *, OrtSession *, const void *options, const char *const *, const OrtValue *const *, size_t,
             const char *const *, size_t, OrtValue **)
ORT_FUNCTION(CreateSessionOptions, 10, OrtStatus *, OrtSessionOptions **)
#if defined(_WIN32)
ORT_FUNCTION(EnableProfiling, 14, OrtStatus *, OrtSessionOptions *, const wchar_t *prefix)
#else
ORT_FUNCTION(EnableProfiling, 14, OrtStatus *, OrtSessionOptions *, const char *prefix)
#endif
ORT_FUNCTION(DisableMemPattern, 17, OrtStatus *, OrtSessionOptions *)
ORT_FUNCTION(SetSessionLogSeverityLevel, 22, OrtStatus *, OrtSessionOptions *, int)
ORT_FUNCTION(SetIntraOpNumThreads, 24, OrtStatus *, OrtSessionOptions *, int)
ORT_FUNCTION(SetInterOpNumThreads, 25, OrtStatus *, OrtSessionOptions *, int)
ORT_FUNCTION(CreateCustomOpDomain, 26, OrtStatus *, const char *, OrtCustomOpDomain **)
ORT_FUNCTION(CustomOpDomain_Add, 27, OrtStatus *, OrtCustomOpDomain *, const Operation *)
ORT_FUNCTION(AddCustomOpDomain, 28, OrtStatus *, OrtSessionOptions *, OrtCustomOpDomain *)
ORT_FUNCTION(CreateTensorWithDataAsOrtValue, 49, OrtStatus *, const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, int,
             OrtValue **)
ORT_FUNCTION(GetTensorMutableData, 51, OrtStatus *, OrtValue *, void **)
ORT_FUNCTION(CreateCpuMemoryInfo, 69, OrtStatus *, int allocator, int memory, OrtMemoryInfo **)
ORT_FUNCTION(AllocatorFree, 76, OrtStatus *, OrtAllocator *, void *)
ORT_FUNCTION(GetAllocatorWithDefaultOptions, 78, OrtStatus *, OrtAllocator **)
ORT_FUNCTION(KernelInfoGetAttribute_int64, 86, OrtStatus *, const OrtKernelInfo *, const char *, int64_t *)
ORT_FUNCTION(KernelContext_GetInput, 90, OrtStatus *, const OrtKernelContext *, size_t, const OrtValue **)
ORT_FUNCTION(KernelContext_GetOutput, 91, OrtStatus *, OrtKernelContext *, size_t, const int64_t *, size_t, OrtValue **)
ORT_FUNCTION(ReleaseStatus, 93, void, OrtStatus *)
ORT_FUNCTION(ReleaseSession, 95, void, OrtSession *)
ORT_FUNCTION(ReleaseValue, 96, void, OrtValue *)
ORT_FUNCTION(ReleaseSessionOptions, 100, void, OrtSessionOptions *)
ORT_FUNCTION(SessionEndProfiling, 110, OrtStatus *, OrtSession *, OrtAllocator *, char **)
ORT_FUNCTION(AddSessionConfigEntry, 130, OrtStatus *, OrtSessionOptions *, const char *, const char *)
ORT_FUNCTION(KernelInfoGetAttributeArray_int64, 163, OrtStatus *, const OrtKernelInfo *, const char *, int64_t *, size_t *)
ORT_FUNCTION(KernelContext_ParallelFor, 274, OrtStatus *, const OrtKernelContext *, void (*)(void *, size_t), size_t total, size_t batches,
             void *)
