/*
 * softmax(Q·Kᵀ/√d)·V of all heads, and its gradient: what graph/ops/attention.ts writes out as products, softmax and transposes
 * where these operations are not known. Values are tokens first and read as they lie, [tokens, batch, heads · size].
 *
 *   Attention          q, k, v → attended, statistics: of each query's scores the largest and 1/Σ exp(score − largest),
 *                      [batch · heads, queries, 2]
 *   AttentionGradient  q, k, v, attended, statistics, gradient by attended → gradients by q, k and v: one value of three
 *                      times the width where there are as many queries as tokens, else three
 *
 * Attributes: queries, tokens, batch, heads, size; lanes: of vectors, at most (tests ask for less). Threads share the heads, each of which is computed in one and the same order.
 */
#include <math.h>
#include <stdlib.h>
#include "functions.h"
#include "operations.h"

enum { AHEAD = 8 }; /* rows */
static const int32_t first_bits[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

typedef struct {
  int64_t queries, tokens, size;
  int64_t row, by_row; /* numbers from one token to the next, in values and in gradients by them */
  float scale;
  const float *q, *k, *v, *grad;
  float *attended, *statistics, *by_q, *by_k, *by_v;
} Head;

/* How heads are computed on one kind of processor. */
typedef struct {
  size_t (*room)(const Head *, int backward);
  void (*compute[2])(const Head *, float *memory);
} Kind;

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
#define LANES 16
#define ROWS 12
#define NAME(x) x##_512
#define SPLAT(x) (V) _mm512_set1_ps(x)
#define FMA(a, b, c) (V) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#define MAX(a, b) (V) _mm512_max_ps((__m512)(a), (__m512)(b))
#define SUM(a) _mm512_reduce_add_ps((__m512)(a))
#define LARGEST(a) _mm512_reduce_max_ps((__m512)(a))
#include "product.h"
#include "head.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define LANES 8
#define ROWS 6
#define NAME(x) x##_256
#define SPLAT(x) (V) _mm256_set1_ps(x)
#define FMA(a, b, c) (V) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#define MAX(a, b) (V) _mm256_max_ps((__m256)(a), (__m256)(b))
#define SUM(a) sum_of_8(a)
#define LARGEST(a) largest_of_8(a)
INLINE float sum_of_8(__m256 a) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)), two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
INLINE float largest_of_8(__m256 a) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)), two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
#include "product.h"
#include "head.h"
#pragma GCC pop_options
#endif

#define LANES 4
#define ROWS 6
#define NAME(x) x##_128
#define SPLAT(x) ((Four){x, x, x, x})
#define FMA(a, b, c) ((a) * (b) + (c))
#define MAX(a, b) NAME(larger)(a, b)
typedef float Four __attribute__((vector_size(16), aligned(4)));
INLINE Four NAME(larger)(Four a, Four b) {
  for (int l = 0; l < LANES; l++) a[l] = a[l] > b[l] ? a[l] : b[l];
  return a;
}
#define SUM(a) ((a)[0] + (a)[1] + (a)[2] + (a)[3])
#define LARGEST(a) NAME(most)(a)
INLINE float NAME(most)(Four a) {
  const float x = a[0] > a[1] ? a[0] : a[1], y = a[2] > a[3] ? a[2] : a[3];
  return x > y ? x : y;
}
#include "product.h"
#include "head.h"

/* The best that this processor can do, with vectors of at most so many numbers. */
static const Kind *kind_of_processor(int64_t lanes) {
  (void)lanes;
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (lanes >= 16 && __builtin_cpu_supports("x86-64-v4")) return &kind_512;
  if (lanes >= 8 && __builtin_cpu_supports("x86-64-v3")) return &kind_256;
#endif
  return &kind_128;
}

typedef struct {
  OrtApi api;
  const Kind *kind;
  int backward;
  int64_t queries, tokens, batch, heads, size, lanes;
} Attention;

typedef struct {
  const Attention *attention;
  Head all; /* the first head; the others lie beside it */
  size_t room;
  int out_of_memory;
} Call;

static void work(void *data, size_t task) {
  Call *call = data;
  const Attention *attention = call->attention;
  Head head = call->all;
  const int64_t size = head.size, image = (int64_t)task / attention->heads, place = (int64_t)task * size;
  const int64_t by_place = image * (head.by_row / attention->batch) + (int64_t)task % attention->heads * size;
  head.q += place, head.k += place, head.v += place, head.attended += place;
  head.statistics += 2 * head.queries * (int64_t)task;
  if (attention->backward) head.grad += place, head.by_q += by_place, head.by_k += by_place, head.by_v += by_place;
  float *memory = malloc(call->room * sizeof(float) + 64);
  if (memory == NULL) {
    call->out_of_memory = 1;
    return;
  }
  attention->kind->compute[attention->backward](&head, (float *)(((uintptr_t)memory + 63) & ~(uintptr_t)63));
  free(memory);
}

static OrtStatus *create(OrtApi api, const OrtKernelInfo *info, int backward, void **kernel) {
  Attention *attention = calloc(1, sizeof *attention);
  if (attention == NULL) return ORT(api, CreateStatus)(1, "Attention: no memory");
  attention->api = api, attention->backward = backward;
  const char *const names[] = {"queries", "tokens", "batch", "heads", "size", "lanes"};
  int64_t *const values[] = {&attention->queries, &attention->tokens, &attention->batch, &attention->heads, &attention->size,
                             &attention->lanes};
  OrtStatus *failure = NULL;
  for (size_t i = 0; failure == NULL && i < 6; i++) {
    failure = ORT(api, KernelInfoGetAttribute_int64)(info, names[i], values[i]);
    if (failure == NULL && *values[i] < 1) failure = ORT(api, CreateStatus)(2, "Attention: its attributes are no sizes");
  }
  attention->kind = kind_of_processor(attention->lanes);
  if (failure == NULL) *kernel = attention;
  else free(attention);
  return failure;
}

static OrtStatus *ORT_CALL create_forward(const Operation *operation, OrtApi api, const OrtKernelInfo *info, void **kernel) {
  return (void)operation, create(api, info, 0, kernel);
}

static OrtStatus *ORT_CALL create_backward(const Operation *operation, OrtApi api, const OrtKernelInfo *info, void **kernel) {
  return (void)operation, create(api, info, 1, kernel);
}

static OrtStatus *ORT_CALL compute(void *kernel, OrtKernelContext *context) {
  const Attention *attention = kernel;
  const OrtApi api = attention->api;
  const int64_t heads = attention->batch * attention->heads, dim = attention->heads * attention->size, row = heads * attention->size;
  const int joined = attention->queries == attention->tokens;
  Call call = {
      .attention = attention,
      .all = {.queries = attention->queries, .tokens = attention->tokens, .size = attention->size, .row = row,
              .by_row = attention->backward && joined ? 3 * row : row, .scale = (float)(1 / sqrt((double)attention->size))},
  };
  Head *all = &call.all;
  const int64_t by_queries[] = {attention->queries, attention->batch, dim}, by_tokens[] = {attention->tokens, attention->batch, dim};
  const float **inputs[] = {&all->q, &all->k, &all->v, (const float **)&all->attended, (const float **)&all->statistics, &all->grad};
  OrtStatus *failure = NULL;
  for (size_t i = 0; failure == NULL && i < (attention->backward ? 6 : 3); i++) failure = read_input(api, context, i, inputs[i]);
  if (!attention->backward) {
    const int64_t statistics[] = {heads, attention->queries, 2};
    if (failure == NULL) failure = make_output(api, context, 0, by_queries, 3, &all->attended);
    if (failure == NULL) failure = make_output(api, context, 1, statistics, 3, &all->statistics);
  } else if (joined) {
    const int64_t whole[] = {attention->tokens, attention->batch, 3 * dim};
    if (failure == NULL) failure = make_output(api, context, 0, whole, 3, &all->by_q);
    if (failure == NULL) all->by_k = all->by_q + dim, all->by_v = all->by_k + dim;
  } else {
    if (failure == NULL) failure = make_output(api, context, 0, by_queries, 3, &all->by_q);
    if (failure == NULL) failure = make_output(api, context, 1, by_tokens, 3, &all->by_k);
    if (failure == NULL) failure = make_output(api, context, 2, by_tokens, 3, &all->by_v);
  }
  call.room = attention->kind->room(all, attention->backward);
  if (failure == NULL) failure = ORT(api, KernelContext_ParallelFor)(context, work, (size_t)heads, 0, &call);
  if (failure == NULL && call.out_of_memory) failure = ORT(api, CreateStatus)(1, "Attention: no memory");
  return failure;
}

static const char *ORT_CALL forward_name(const Operation *operation) { return (void)operation, "Attention"; }
static const char *ORT_CALL backward_name(const Operation *operation) { return (void)operation, "AttentionGradient"; }

const Operation attention_operation = {COMMON_PARTS, .name = forward_name, .create_or_fail = create_forward, .compute_or_fail = compute};
const Operation attention_gradient_operation = {COMMON_PARTS, .name = backward_name, .create_or_fail = create_backward,
                                                .compute_or_fail = compute};
