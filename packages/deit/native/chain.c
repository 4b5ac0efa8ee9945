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
#include <stdlib.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#include "functions.h"
#include "operations.h"

enum { MOST = 64, MOST_DIMS = 256, TILE = 1024, TASK = 16384, STREAMED = 1 << 20 };
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

#if defined(__SSE2__)
/* Writes past the caches, which else would read each line from memory before it is overwritten. */
INLINE void stream(float *to, const float *from, int64_t n) {
  int64_t j = 0;
  for (; j < n && ((uintptr_t)(to + j) & 15) != 0; j++) to[j] = from[j];
  for (; j + 4 <= n; j += 4) _mm_stream_ps(to + j, _mm_loadu_ps(from + j));
  for (; j < n; j++) to[j] = from[j];
}
INLINE void finish_stream(void) { _mm_sfence(); }
#define CAN_STREAM 1
#else
INLINE void stream(float *to, const float *from, int64_t n) { memcpy(to, from, (size_t)n * sizeof *to); }
INLINE void finish_stream(void) {}
#define CAN_STREAM 0
#endif

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
  /* Vectors of this size are the state of an optimizer, which nobody reads before the next step. */
  const int streams = CAN_STREAM && chain->rows == 1 && chain->columns >= STREAMED;
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
      for (size_t i = 0; i < chain->outputs && !streams; i++) results[chain->outs[i] - (int64_t)chain->inputs] = call->outputs[i] + place;
      for (size_t i = 0; i < chain->steps; i++) {
        const int64_t *code = chain->code + 3 * i;
        registers[chain->inputs + i] = results[i];
        step(code[0], n, results[i], registers[code[1]], lone[code[1]], registers[code[2]], lone[code[2]]);
      }
      for (size_t i = 0; i < chain->outputs && streams; i++) stream(call->outputs[i] + place, registers[chain->outs[i]], n);
    }
  }
  if (streams) finish_stream();
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
  OrtStatus *failure = NULL;
  for (size_t i = 0; failure == NULL && i < chain->inputs; i++) failure = read_input(api, context, i, &call.inputs[i]);
  const int64_t *dims = chain->dims;
  for (size_t i = 0; failure == NULL && i < chain->outputs; dims += chain->ranks[i++])
    failure = make_output(api, context, i, dims, (size_t)chain->ranks[i], &call.outputs[i]);
  if (failure != NULL) return failure;
  call.columns = TASK;
  call.rows = (TASK + chain->columns - 1) / chain->columns;
  const int64_t all = chain->rows == 1 ? chain->columns : chain->rows, each = chain->rows == 1 ? call.columns : call.rows;
  const size_t tasks = (size_t)((all + each - 1) / each);
  if (tasks > 1) return ORT(api, KernelContext_ParallelFor)(context, work, tasks, 0, &call);
  work(&call, 0);
  return NULL;
}

static const char *ORT_CALL name(const Operation *operation) { return (void)operation, "Chain"; }

const Operation chain_operation = {COMMON_PARTS, .name = name, .create_or_fail = create, .compute_or_fail = compute};
