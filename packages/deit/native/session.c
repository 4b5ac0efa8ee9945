/*
 * Sessions of ONNX Runtime that know our operations (chain.c, attention.c), for Node: what onnxruntime-node cannot do, because it has no way
 * to register them. It uses the library that onnxruntime-node brought. JavaScript's side is src/runtime/native.ts:
 *
 *   open(path)                                       of ONNX Runtime's library
 *   create(model, threads, config, profile, inputs, outputs) → session
 *                                                    config: [key, value, …]; inputs, outputs: [{ name, type, dims }, …]
 *   run(session, inputs, outputs)                    typed arrays, in their order; results are written into `outputs`
 *   endProfiling(session) → path
 *   release(session)
 *   sources                                          a hash of the files that this was compiled from
 *
 * All of it blocks: it is called in a worker thread.
 */
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "operations.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#if defined(__x86_64__) && defined(__gnu_linux__)
/* As old systems have them, too. */
__asm__(".symver dlopen,dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym,dlsym@GLIBC_2.2.5");
#endif
#endif

enum { MOST_RANK = 8, FATAL = 4 };

typedef struct {
  char *name;
  int type;
  size_t rank;
  int64_t dims[MOST_RANK];
  size_t bytes;
} Tensor;

typedef struct {
  OrtSession *session;
  /* Of inputs, and of outputs. */
  size_t count[2];
  Tensor *tensors[2];
  const char **names[2];
  OrtValue **values[2]; /* during a run */
} Session;

/* Of the process; worker threads that open it again get the same. */
static OrtApi api;
static OrtEnv *environment;
static OrtCustomOpDomain *domain;
static OrtMemoryInfo *memory;

static napi_value fail(napi_env env, const char *message) {
  napi_throw_error(env, NULL, message);
  return NULL;
}

/* Whether something went wrong, which is then thrown. */
static int failed(napi_env env, OrtStatus *status) {
  if (status == NULL) return 0;
  napi_throw_error(env, NULL, ORT(api, GetErrorMessage)(status));
  ORT(api, ReleaseStatus)(status);
  return 1;
}

/* A string of JavaScript's; the caller frees it. */
static char *text(napi_env env, napi_value value) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *result = malloc(length + 1);
  if (result != NULL) napi_get_value_string_utf8(env, value, result, length + 1, &length);
  return result;
}

static napi_value property(napi_env env, napi_value object, const char *name) {
  napi_value value = NULL;
  napi_get_named_property(env, object, name, &value);
  return value;
}

static void *find_base(const char *path) {
#if defined(_WIN32)
  HMODULE library = LoadLibraryA(path);
  return library == NULL ? NULL : (void *)GetProcAddress(library, "OrtGetApiBase");
#else
  void *library = dlopen(path, RTLD_NOW);
  return library == NULL ? NULL : dlsym(library, "OrtGetApiBase");
#endif
}

static napi_value open_library(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (memory != NULL) return NULL;
  char *path = text(env, argument);
  if (path == NULL) return fail(env, "expected a path");
  void *found = find_base(path);
  free(path);
  if (found == NULL) return fail(env, "ONNX Runtime's library cannot be loaded");
  const OrtApiBase *(ORT_CALL *base)(void);
  memcpy(&base, &found, sizeof base);
  api = base()->GetApi(ORT_VERSION);
  if (api == NULL) return fail(env, "this ONNX Runtime is too old");
  if (failed(env, ORT(api, CreateEnv)(FATAL, "deit", &environment))) return NULL;
  if (failed(env, ORT(api, CreateCustomOpDomain)("deit", &domain))) return NULL;
  static const Operation *const operations[] = {&chain_operation, &attention_operation, &attention_gradient_operation};
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
    if (failed(env, ORT(api, CustomOpDomain_Add)(domain, operations[i]))) return NULL;
  failed(env, ORT(api, CreateCpuMemoryInfo)(1, 0, &memory));
  return NULL;
}

static void free_session(Session *session) {
  if (session->session != NULL) ORT(api, ReleaseSession)(session->session);
  for (size_t side = 0; side < 2; side++) {
    for (size_t i = 0; i < session->count[side]; i++) free(session->tensors[side][i].name);
    free(session->tensors[side]);
    free(session->names[side]);
    free(session->values[side]);
  }
  free(session);
}

static size_t bytes_of(int type) {
  static const unsigned char sizes[] = {[1] = 4, [2] = 1, [6] = 4, [7] = 8, [9] = 1, [10] = 2};
  return type > 0 && type < (int)sizeof sizes ? sizes[type] : 0;
}

/* Reads [{ name, type, dims }, …]. */
static int read_tensors(napi_env env, napi_value listed, Session *session, size_t side) {
  uint32_t length;
  if (napi_get_array_length(env, listed, &length) != napi_ok) return 0;
  Tensor *tensors = session->tensors[side] = calloc(length + 1, sizeof *tensors);
  session->names[side] = calloc(length + 1, sizeof **session->names);
  session->values[side] = calloc(length + 1, sizeof **session->values);
  if (tensors == NULL || session->names[side] == NULL || session->values[side] == NULL) return 0;
  for (uint32_t i = 0; i < length; i++) {
    Tensor *tensor = &tensors[i];
    napi_value item, dims;
    uint32_t rank;
    napi_get_element(env, listed, i, &item);
    if (napi_get_value_int32(env, property(env, item, "type"), &tensor->type) != napi_ok) return 0;
    dims = property(env, item, "dims");
    if (napi_get_array_length(env, dims, &rank) != napi_ok || rank > MOST_RANK) return 0;
    tensor->rank = rank;
    tensor->bytes = bytes_of(tensor->type);
    for (uint32_t k = 0; k < rank; k++) {
      napi_value dim;
      napi_get_element(env, dims, k, &dim);
      if (napi_get_value_int64(env, dim, &tensor->dims[k]) != napi_ok || tensor->dims[k] < 0) return 0;
      tensor->bytes *= (size_t)tensor->dims[k];
    }
    tensor->name = text(env, property(env, item, "name"));
    if (tensor->name == NULL) return 0;
    session->names[side][i] = tensor->name;
    session->count[side] = i + 1;
  }
  return 1;
}

/* Adds [key, value, …]. */
static int configure(napi_env env, OrtSessionOptions *options, napi_value config) {
  uint32_t length;
  if (napi_get_array_length(env, config, &length) != napi_ok) return 0;
  for (uint32_t i = 0; i + 1 < length; i += 2) {
    napi_value key_value, value_value;
    napi_get_element(env, config, i, &key_value);
    napi_get_element(env, config, i + 1, &value_value);
    char *key = text(env, key_value), *value = text(env, value_value);
    const int wrong = key == NULL || value == NULL || failed(env, ORT(api, AddSessionConfigEntry)(options, key, value));
    free(key);
    free(value);
    if (wrong) return 0;
  }
  return 1;
}

static int set_profile(napi_env env, OrtSessionOptions *options, napi_value profile) {
  char *prefix = text(env, profile);
  if (prefix == NULL || *prefix == 0) return free(prefix), 1;
#if defined(_WIN32)
  wchar_t wide[1024] = {0};
  MultiByteToWideChar(CP_UTF8, 0, prefix, -1, wide, 1023);
  const int wrong = failed(env, ORT(api, EnableProfiling)(options, wide));
#else
  const int wrong = failed(env, ORT(api, EnableProfiling)(options, prefix));
#endif
  free(prefix);
  return !wrong;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  Session **place = data;
  if (*place != NULL) free_session(*place);
  free(place);
}

static napi_value create(napi_env env, napi_callback_info info) {
  size_t count = 6, length;
  napi_value arguments[6], result;
  int32_t threads;
  void *model;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (memory == NULL) return fail(env, "ONNX Runtime was not opened");
  if (count < 6 || napi_get_typedarray_info(env, arguments[0], NULL, &length, &model, NULL, NULL) != napi_ok ||
      napi_get_value_int32(env, arguments[1], &threads) != napi_ok)
    return fail(env, "expected a model, a number of threads and four lists");
  Session *session = calloc(1, sizeof *session), **place = calloc(1, sizeof *place);
  OrtSessionOptions *options = NULL;
  if (session == NULL || place == NULL) return free(session), free(place), fail(env, "out of memory");
  int ok = read_tensors(env, arguments[4], session, 0) && read_tensors(env, arguments[5], session, 1);
  if (!ok) napi_throw_error(env, NULL, "expected inputs and outputs with name, type and at most 8 dims");
  ok = ok && !failed(env, ORT(api, CreateSessionOptions)(&options)) && !failed(env, ORT(api, SetIntraOpNumThreads)(options, threads)) &&
       !failed(env, ORT(api, SetInterOpNumThreads)(options, 1)) && !failed(env, ORT(api, DisableMemPattern)(options)) &&
       !failed(env, ORT(api, SetSessionLogSeverityLevel)(options, FATAL)) &&
       !failed(env, ORT(api, AddCustomOpDomain)(options, domain)) && configure(env, options, arguments[2]) &&
       set_profile(env, options, arguments[3]) &&
       !failed(env, ORT(api, CreateSessionFromArray)(environment, model, length, options, &session->session));
  if (options != NULL) ORT(api, ReleaseSessionOptions)(options);
  *place = session;
  if (!ok || napi_create_external(env, place, finalize, NULL, &result) != napi_ok) return finalize(env, place, NULL), NULL;
  return result;
}

static Session **session_of(napi_env env, napi_value value) {
  void *place = NULL;
  if (napi_get_value_external(env, value, &place) != napi_ok || *(Session **)place == NULL) {
    napi_throw_error(env, NULL, "the session was released");
    return NULL;
  }
  return place;
}

/* Tensors over the memory of typed arrays. */
static int wrap(napi_env env, napi_value arrays, Session *session, size_t side) {
  const Tensor *tensors = session->tensors[side];
  for (size_t i = 0; i < session->count[side]; i++) {
    napi_value array;
    napi_typedarray_type kind;
    size_t length;
    void *data;
    napi_get_element(env, arrays, (uint32_t)i, &array);
    if (napi_get_typedarray_info(env, array, &kind, &length, &data, NULL, NULL) != napi_ok || length * bytes_of(tensors[i].type) != tensors[i].bytes) {
      char message[256];
      snprintf(message, sizeof message, "%s: expected a typed array of %zu bytes", tensors[i].name, tensors[i].bytes);
      napi_throw_error(env, NULL, message);
      return 0;
    }
    if (failed(env, ORT(api, CreateTensorWithDataAsOrtValue)(memory, data, tensors[i].bytes, tensors[i].dims, tensors[i].rank, tensors[i].type, &session->values[side][i])))
      return 0;
  }
  return 1;
}

static napi_value run(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value arguments[3];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  Session **place = session_of(env, arguments[0]);
  if (place == NULL) return NULL;
  Session *session = *place;
  if (wrap(env, arguments[1], session, 0) && wrap(env, arguments[2], session, 1))
    failed(env, ORT(api, Run)(session->session, NULL, session->names[0], (const OrtValue *const *)session->values[0], session->count[0],
                              session->names[1], session->count[1], session->values[1]));
  for (size_t side = 0; side < 2; side++) {
    for (size_t i = 0; i < session->count[side]; i++) {
      if (session->values[side][i] != NULL) ORT(api, ReleaseValue)(session->values[side][i]);
      session->values[side][i] = NULL;
    }
  }
  return NULL;
}

static napi_value end_profiling(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, result = NULL;
  OrtAllocator *allocator;
  char *path;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  Session **place = session_of(env, argument);
  if (place == NULL || failed(env, ORT(api, GetAllocatorWithDefaultOptions)(&allocator)) ||
      failed(env, ORT(api, SessionEndProfiling)((*place)->session, allocator, &path)))
    return NULL;
  napi_create_string_utf8(env, path, NAPI_AUTO_LENGTH, &result);
  failed(env, ORT(api, AllocatorFree)(allocator, path));
  return result;
}

static napi_value release(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  Session **place = session_of(env, argument);
  if (place == NULL) return NULL;
  free_session(*place);
  *place = NULL;
  return NULL;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"open", open_library}, {"create", create}, {"run", run}, {"endProfiling", end_profiling}, {"release", release}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  napi_value sources;
  napi_create_string_utf8(env, SOURCES, NAPI_AUTO_LENGTH, &sources);
  napi_set_named_property(env, exports, "sources", sources);
  return exports;
}
