/*
 * Chain: elementwise operations one after another, computed together for a tile of numbers that stays in the first-level
 * cache, where ONNX Runtime would write every intermediate result to memory and read it again. Attributes (graph/ops/chain.ts):
 *
 *   rows, columns   size of every result
 *   roles           of each input: 0 a number for each element, 1 for each row, 2 for each column, 3 one number
 *   code            three numbers for each operation: which one, and its one or two operands as registers; the registers are the
 *                   inputs and then the results of the operations
 *   outs            registers that are outputs
 *   ranks, dims     shapes of the outputs, one after another
 *
 * Every number is what ONNX Runtime's own operations give, to the bit: the polynomials of exp and erf are those of its MLAS.
 */
#include "chain.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64, MOST_DIMS = 256, TILE = 1024, TASK = 16384 };
enum { ADD, SUB, MUL, DIV, NEG, EXP, SQRT, ERF };
enum { FULL, ROW, COLUMN, ONE };

typedef struct {
  OrtApi api;
  int64_t rows, columns;
  size_t inputs, outputs, steps;
  int64_t code[3 * MOST], roles[MOST], outs[MOST], ranks[MOST], dims[MOST_DIMS];
} Chain;

typedef struct {
  const Chain *chain;
  const float *inputs[MOST];
  float *outputs[MOST];
  int64_t rows, columns; /* of a task */
} Call;

#if defined(__x86_64__) && defined(__gnu_linux__)
/* The best form for the processor is chosen when the library is loaded. */
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE float power_of_2(int exponent) {
  const int bits = (exponent + 127) << 23;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE float exponential(float x) {
  x = x < -103.9720840454f ? -103.9720840454f : x;
  x = x > 88.7762626647950f ? 88.7762626647950f : x;
  const float rounding = 12582912.f;
  const float m = fmaf(x, 1.44269504088896341f, rounding) - rounding;
  float r = fmaf(m, -6.93145752e-1f, x);
  r = fmaf(m, -1.42860677e-6f, r);
  float p = 0x1.694000p-10f;
  p = fmaf(p, r, 0x1.125edcp-7f);
  p = fmaf(p, r, 0x1.555b5ap-5f);
  p = fmaf(p, r, 0x1.555450p-3f);
  p = fmaf(p, r, 0x1.fffff6p-2f);
  p = fmaf(p, r, 1.f);
  p = fmaf(p, r, 1.f);
  const int whole = (int)m, half = whole >> 1; /* 2^128 is no float */
  return p * power_of_2(half) * power_of_2(whole - half);
}

INLINE float error_function(float x) {
  float a = fabsf(x);
  a = a > 3.925f ? 3.925f : a;
  const float square = a * a;
  float small = -5.99104969e-4f;
  small = fmaf(small, square, 4.99339588e-3f);
  small = fmaf(small, square, -2.67667342e-2f);
  small = fmaf(small, square, 1.12818025e-1f);
  small = fmaf(small, square, -3.76124859e-1f);
  small = fmaf(small, square, 1.28379151e-1f);
  small = fmaf(small, a, a);
  float big = 1.72948930e-5f;
  big = fmaf(big, a, -3.83208680e-4f);
  big = fmaf(big, a, 3.88393435e-3f);
  big = fmaf(big, a, -2.42545605e-2f);
  big = fmaf(big, a, 1.06777847e-1f);
  big = fmaf(big, a, 6.34846687e-1f);
  big = fmaf(big, a, 1.28717512e-1f);
  big = -fmaf(big, a, a);
  const float rounding = 12582912.f;
  const float m = fmaf(1.44269504088896341f, big, rounding) - rounding;
  float r = fmaf(m, -6.93145752e-1f, big);
  r = fmaf(m, -1.42860677e-6f, r);
  float p = 1.38319808e-3f;
  p = fmaf(p, r, 8.37550033e-3f);
  p = fmaf(p, r, 4.16689515e-2f);
  p = fmaf(p, r, 1.66664466e-1f);
  p = fmaf(p, r, 4.99999851e-1f);
  p = fmaf(p, r, 1.f);
  p = fmaf(p, r, 1.f);
  const float result = a > 0.921875f ? 1.f - p * power_of_2((int)m) : small;
  return copysignf(result, x);
}

#define EACH(expression) \
  for (int64_t j = 0; j < n; j++) d[j] = expression
#define EACH_PAIR(operator)                              \
  if (lone_a) { const float x = *a; EACH(x operator b[j]); } \
  else if (lone_b) { const float y = *b; EACH(a[j] operator y); } \
  else EACH(a[j] operator b[j])

/* One operation over n numbers; an operand that is alone is one number for all. */
INLINE void step(int64_t operation, int64_t n, float *restrict d, const float *restrict a, int lone_a, const float *restrict b,
                 int lone_b) {
  switch (operation) {
    case ADD: EACH_PAIR(+); break;
    case SUB: EACH_PAIR(-); break;
    case MUL: EACH_PAIR(*); break;
    case DIV: EACH_PAIR(/); break;
    case NEG: EACH(-a[j]); break;
    case EXP: EACH(exponential(a[j])); break;
    case SQRT: EACH(sqrtf(a[j])); break;
    case ERF: EACH(error_function(a[j])); break;
  }
}

/* One of the tasks that ONNX Runtime's threads share: some rows, or a piece of the only one. */
FOR_EVERY_PROCESSOR
static void work(void *data, size_t task) {
  const Call *call = data;
  const Chain *chain = call->chain;
  static _Thread_local float buffers[MOST][TILE] __attribute__((aligned(64)));
  const float *registers[2 * MOST];
  char lone[2 * MOST] = {0};
  int64_t first_row = 0, last_row = 1, first = 0, last = chain->columns;
  if (chain->rows == 1) {
    first = (int64_t)task * call->columns;
    if (last - first > call->columns) last = first + call->columns;
  } else {
    first_row = (int64_t)task * call->rows;
    last_row = chain->rows - first_row > call->rows ? first_row + call->rows : chain->rows;
  }
  for (size_t i = 0; i < chain->inputs; i++) lone[i] = chain->roles[i] == ROW || chain->roles[i] == ONE;
  for (int64_t row = first_row; row < last_row; row++) {
    for (int64_t column = first; column < last; column += TILE) {
      const int64_t n = last - column < TILE ? last - column : TILE, place = row * chain->columns + column;
      for (size_t i = 0; i < chain->inputs; i++) {
        const int64_t offsets[] = {place, row, column, 0};
        registers[i] = call->inputs[i] + offsets[chain->roles[i]];
      }
      float *results[MOST];
      for (size_t i = 0; i < chain->steps; i++) results[i] = buffers[i];
      for (size_t i = 0; i < chain->outputs; i++) results[chain->outs[i] - (int64_t)chain->inputs] = call->outputs[i] + place;
      for (size_t i = 0; i < chain->steps; i++) {
        const int64_t *code = chain->code + 3 * i;
        registers[chain->inputs + i] = results[i];
        step(code[0], n, results[i], registers[code[1]], lone[code[1]], registers[code[2]], lone[code[2]]);
      }
    }
  }
}

static size_t list(const Chain *chain, const OrtKernelInfo *info, const char *name, int64_t *values, size_t most, OrtStatus **failure) {
  size_t count = most;
  if (*failure == NULL) *failure = ORT(chain->api, KernelInfoGetAttributeArray_int64)(info, name, values, &count);
  return count;
}

static int is_sound(const Chain *chain, size_t code, size_t ranks, size_t dims) {
  if (chain->rows < 1 || chain->columns < 1 || code % 3 != 0 || ranks != chain->outputs || chain->inputs + chain->steps > 2 * MOST) return 0;
  for (size_t i = 0; i < chain->inputs; i++)
    if (chain->roles[i] < FULL || chain->roles[i] > ONE) return 0;
  for (size_t i = 0; i < chain->steps; i++) {
    const int64_t *one = chain->code + 3 * i, known = (int64_t)(chain->inputs + i);
    if (one[0] < ADD || one[0] > ERF || one[1] < 0 || one[1] >= known || one[2] < 0 || one[2] >= known) return 0;
  }
  size_t total = 0;
  for (size_t i = 0; i < chain->outputs; i++) {
    int64_t size = 1;
    if (chain->ranks[i] < 0 || total + (size_t)chain->ranks[i] > dims) return 0;
    for (int64_t k = 0; k < chain->ranks[i]; k++) size *= chain->dims[total++];
    if (size != chain->rows * chain->columns) return 0;
    if (chain->outs[i] < (int64_t)chain->inputs || chain->outs[i] >= (int64_t)(chain->inputs + chain->steps)) return 0;
  }
  return 1;
}

static OrtStatus *ORT_CALL create(const Operation *operation, OrtApi api, const OrtKernelInfo *info, void **kernel) {
  (void)operation;
  Chain *chain = calloc(1, sizeof *chain);
  if (chain == NULL) return ORT(api, CreateStatus)(1, "Chain: no memory");
  chain->api = api;
  OrtStatus *failure = ORT(api, KernelInfoGetAttribute_int64)(info, "rows", &chain->rows);
  if (failure == NULL) failure = ORT(api, KernelInfoGetAttribute_int64)(info, "columns", &chain->columns);
  const size_t code = list(chain, info, "code", chain->code, 3 * MOST, &failure);
  chain->steps = code / 3;
  chain->inputs = list(chain, info, "roles", chain->roles, MOST, &failure);
  chain->outputs = list(chain, info, "outs", chain->outs, MOST, &failure);
  const size_t ranks = list(chain, info, "ranks", chain->ranks, MOST, &failure);
  const size_t dims = list(chain, info, "dims", chain->dims, MOST_DIMS, &failure);
  if (failure == NULL && !is_sound(chain, code, ranks, dims)) failure = ORT(api, CreateStatus)(2, "Chain: its attributes contradict each other");
  if (failure != NULL) {
    free(chain);
    return failure;
  }
  if (chain->columns == 1) { /* a vector is one row */
    chain->columns = chain->rows;
    chain->rows = 1;
    for (size_t i = 0; i < chain->inputs; i++)
      if (chain->roles[i] == ROW) chain->roles[i] = FULL;
      else if (chain->roles[i] == COLUMN) chain->roles[i] = ONE;
  }
  *kernel = chain;
  return NULL;
}

static OrtStatus *ORT_CALL compute(void *kernel, OrtKernelContext *context) {
  const Chain *chain = kernel;
  const OrtApi api = chain->api;
  Call call = {.chain = chain};
  for (size_t i = 0; i < chain->inputs; i++) {
    const OrtValue *value;
    void *data;
    OrtStatus *failure = ORT(api, KernelContext_GetInput)(context, i, &value);
    if (failure == NULL) failure = ORT(api, GetTensorMutableData)((OrtValue *)value, &data);
    if (failure != NULL) return failure;
    call.inputs[i] = data;
  }
  const int64_t *dims = chain->dims;
  for (size_t i = 0; i < chain->outputs; i++) {
    OrtValue *value;
    void *data;
    OrtStatus *failure = ORT(api, KernelContext_GetOutput)(context, i, dims, (size_t)chain->ranks[i], &value);
    if (failure == NULL) failure = ORT(api, GetTensorMutableData)(value, &data);
    if (failure != NULL) return failure;
    call.outputs[i] = data;
    dims += chain->ranks[i];
  }
  call.columns = TASK;
  call.rows = (TASK + chain->columns - 1) / chain->columns;
  const int64_t all = chain->rows == 1 ? chain->columns : chain->rows, each = chain->rows == 1 ? call.columns : call.rows;
  const size_t tasks = (size_t)((all + each - 1) / each);
  if (tasks > 1) return ORT(api, KernelContext_ParallelFor)(context, work, tasks, 0, &call);
  work(&call, 0);
  return NULL;
}

static void ORT_CALL destroy(void *kernel) { free(kernel); }
static const char *ORT_CALL name(const Operation *operation) { return (void)operation, "Chain"; }
static const char *ORT_CALL provider(const Operation *operation) { return (void)operation, NULL; /* the CPU's */ }
static int ORT_CALL type(const Operation *operation, size_t i) { return (void)operation, (void)i, TENSOR_FLOAT; }
static int ORT_CALL kind(const Operation *operation, size_t i) { return (void)operation, (void)i, VARIADIC; }
static int ORT_CALL memory(const Operation *operation, size_t i) { return (void)operation, (void)i, 0; }
static size_t ORT_CALL one(const Operation *operation) { return (void)operation, 1; }
static int ORT_CALL single(const Operation *operation) { return (void)operation, 1; }

const Operation chain_operation = {
    .version = ORT_VERSION,
    .name = name,
    .provider = provider,
    .input_type = type,
    .input_count = one,
    .output_type = type,
    .output_count = one,
    .destroy = destroy,
    .input_kind = kind,
    .output_kind = kind,
    .input_memory = memory,
    .input_least = single,
    .input_same_type = single,
    .output_least = single,
    .output_same_type = single,
    .create_or_fail = create,
    .compute_or_fail = compute,
    .first_version = single,
    .last_version = single,
};
