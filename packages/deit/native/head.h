/*
 * One head of attention, forward and backward, for one kind of processor (see product.h). Queries are taken in blocks, so that
 * scores stay in the second-level cache and are never written to memory; the gradient computes them again.
 */

/* Memory for a head; what is only for the gradient comes last. */
typedef struct {
  float *keys, *values, *copy, *queries, *scores, *result;                  /* forward; keys and values packed */
  float *whole_keys, *grads, *packed, *by_weights, *by_keys, *by_values;    /* backward */
  int64_t rows, score_row, result_row;
} NAME(Room);

INLINE int64_t NAME(block)(int64_t queries) {
  const int64_t blocks = (queries + 119) / 120, rows = (queries + blocks - 1) / blocks;
  return (rows + ROWS - 1) / ROWS * ROWS;
}

/* How many numbers a head takes; with `memory`, where they lie in it. */
static size_t NAME(room)(const Head *head, int backward, float *memory, NAME(Room) *room) {
  const int64_t n = head->tokens, d = head->size, rows = NAME(block)(head->queries), score = NAME(padded)(n), result = NAME(padded)(d);
  const int64_t wide = (n + 2 * LANES - 1) / (2 * LANES) * 2 * LANES, deep = (d + 2 * LANES - 1) / (2 * LANES) * 2 * LANES;
  const int64_t packed = wide * d > n * deep ? wide * d : n * deep;
  float **const places[] = {&room->keys, &room->values, &room->copy, &room->queries, &room->scores, &room->result, &room->whole_keys, &room->grads,
                            &room->packed, &room->by_weights, &room->by_keys, &room->by_values};
  const int64_t sizes[] = {wide * d, packed, (n > rows ? n : rows) * d, rows * d, rows * score, rows * result, n * deep, rows * d,
                           rows * deep, rows * score, n * result, n * result};
  size_t used = 0;
  for (size_t i = 0; i < (backward ? 12 : 6); i++) {
    if (memory != NULL) *places[i] = memory + used;
    used += (size_t)(sizes[i] + 15) / 16 * 16;
  }
  if (memory != NULL) room->rows = rows, room->score_row = score, room->result_row = result;
  return used;
}

static size_t NAME(room_for)(const Head *head, int backward) {
  NAME(Room) unused;
  return NAME(room)(head, backward, NULL, &unused);
}

/* Rows of tokens lie far apart: what comes soon is asked for early. */
INLINE void NAME(ask)(const float *row, int64_t columns) {
  for (int64_t j = 0; j < columns; j += 16) __builtin_prefetch(row + j);
}

/* Rows times a factor, close together. */
static void NAME(gather)(int64_t rows, int64_t columns, const float *from, int64_t row, float factor, float *to) {
  for (int64_t i = 0; i < rows; i++) {
    if (i + AHEAD < rows) NAME(ask)(from + (i + AHEAD) * row, columns);
    for (int64_t j = 0; j < columns; j++) to[i * columns + j] = from[i * row + j] * factor;
  }
}

static void NAME(scatter)(int64_t rows, int64_t columns, const float *from, int64_t from_row, float factor, float *to, int64_t row) {
  for (int64_t i = 0; i < rows; i++) {
    if (i + AHEAD < rows) NAME(ask)(to + (i + AHEAD) * row, columns);
    for (int64_t j = 0; j < columns; j++) to[i * row + j] = from[i * from_row + j] * factor;
  }
}

/* The first `count` numbers of a vector, `other` in place of the rest. */
INLINE V NAME(first_of)(V x, int64_t count, V other) {
  const NAME(Bits) mask = *(const NAME(Bits) *)(first_bits + 16 - count);
  return (V)(((NAME(Bits))x & mask) | ((NAME(Bits))other & ~mask));
}

/* exp(x − largest) over a row of n numbers; what fills its last vector becomes 0. */
static void NAME(exponentials)(float *x, int64_t n, float largest) {
  const int64_t last = (n - 1) / LANES * LANES;
  for (int64_t j = 0; j < last + LANES; j++) x[j] = exponential(x[j] - largest);
  V *end = (V *)(x + last);
  *end = NAME(first_of)(*end, n - last, SPLAT(0.f));
}

/* Scores of a row → exponentials of them, the largest and the sum. */
static void NAME(soften)(float *x, int64_t n, float *largest, float *sum) {
  const int64_t last = (n - 1) / LANES * LANES;
  V most = NAME(first_of)(*(const V *)(x + last), n - last, SPLAT(-INFINITY)), total = SPLAT(0.f);
  for (int64_t j = 0; j < last; j += LANES) {
    const V y = *(const V *)(x + j);
    most = MAX(most, y);
  }
  *largest = LARGEST(most);
  NAME(exponentials)(x, n, *largest);
  for (int64_t j = 0; j <= last; j += LANES) total += *(const V *)(x + j);
  *sum = SUM(total);
}

INLINE float NAME(dot)(int64_t n, const float *a, const float *b) {
  V total = SPLAT(0.f);
  int64_t j = 0;
  for (; j + LANES <= n; j += LANES) total = FMA(*(const V *)(a + j), *(const V *)(b + j), total);
  float sum = SUM(total);
  for (; j < n; j++) sum += a[j] * b[j];
  return sum;
}

static void NAME(forward)(const Head *head, float *memory) {
  NAME(Room) room;
  NAME(room)(head, 0, memory, &room);
  const int64_t n = head->tokens, d = head->size;
  NAME(gather)(n, d, head->k, head->row, 1, room.copy);
  NAME(pack)(d, n, room.copy, 1, d, room.keys);
  NAME(gather)(n, d, head->v, head->row, 1, room.copy);
  NAME(pack)(n, d, room.copy, d, 1, room.values);
  for (int64_t first = 0; first < head->queries; first += room.rows) {
    const int64_t rows = head->queries - first < room.rows ? head->queries - first : room.rows;
    NAME(gather)(rows, d, head->q + first * head->row, head->row, head->scale, room.queries);
    NAME(product)(rows, n, d, room.queries, d, 1, room.keys, room.scores, room.score_row, 0);
    float *statistics = head->statistics + 2 * first;
    for (int64_t i = 0; i < rows; i++)
      NAME(soften)(room.scores + i * room.score_row, n, statistics + 2 * i, statistics + 2 * i + 1);
    NAME(product)(rows, d, n, room.scores, room.score_row, 1, room.values, room.result, room.result_row, 0);
    for (int64_t i = 0; i < rows; i++) {
      float *result = room.result + i * room.result_row;
      const float inverse = statistics[2 * i + 1] = 1 / statistics[2 * i + 1];
      for (int64_t j = 0; j < d; j++) result[j] *= inverse;
    }
    NAME(scatter)(rows, d, room.result, room.result_row, 1, head->attended + first * head->row, head->row);
  }
}

static void NAME(backward)(const Head *head, float *memory) {
  NAME(Room) room;
  NAME(room)(head, 1, memory, &room);
  const int64_t n = head->tokens, d = head->size;
  NAME(gather)(n, d, head->v, head->row, 1, room.copy);
  NAME(pack)(d, n, room.copy, 1, d, room.values);
  NAME(gather)(n, d, head->k, head->row, 1, room.copy);
  NAME(pack)(d, n, room.copy, 1, d, room.keys);
  NAME(pack)(n, d, room.copy, d, 1, room.whole_keys);
  for (int64_t first = 0; first < head->queries; first += room.rows) {
    const int64_t rows = head->queries - first < room.rows ? head->queries - first : room.rows, place = first * head->row;
    NAME(gather)(rows, d, head->q + place, head->row, head->scale, room.queries);
    NAME(gather)(rows, d, head->grad + place, head->row, 1, room.grads);
    NAME(gather)(rows, d, head->attended + place, head->row, 1, room.copy);
    NAME(product)(rows, n, d, room.queries, d, 1, room.keys, room.scores, room.score_row, 0);
    NAME(product)(rows, n, d, room.grads, d, 1, room.values, room.by_weights, room.score_row, 0);
    for (int64_t i = 0; i < rows; i++) {
      float *weights = room.scores + i * room.score_row, *by = room.by_weights + i * room.score_row;
      const float *statistics = head->statistics + 2 * (first + i);
      const float inverse = statistics[1];
      const float sum = NAME(dot)(d, room.copy + i * d, room.grads + i * d); /* Σ P∘dP = Σ O∘dO, which is shorter */
      NAME(exponentials)(weights, n, statistics[0]);
      for (int64_t j = 0; j < n; j++) {
        weights[j] *= inverse;
        by[j] = weights[j] * (by[j] - sum);
      }
    }
    NAME(pack)(rows, d, room.grads, d, 1, room.packed);
    NAME(product)(n, d, rows, room.scores, 1, room.score_row, room.packed, room.by_values, room.result_row, first > 0);
    NAME(pack)(rows, d, room.queries, d, 1, room.packed);
    NAME(product)(n, d, rows, room.by_weights, 1, room.score_row, room.packed, room.by_keys, room.result_row, first > 0);
    NAME(product)(rows, d, n, room.by_weights, room.score_row, 1, room.whole_keys, room.result, room.result_row, 0);
    NAME(scatter)(rows, d, room.result, room.result_row, head->scale, head->by_q + first * head->by_row, head->by_row);
  }
  NAME(scatter)(n, d, room.by_keys, room.result_row, 1, head->by_k, head->by_row);
  NAME(scatter)(n, d, room.by_values, room.result_row, 1, head->by_v, head->by_row);
}

static const Kind NAME(kind) = {NAME(room_for), {NAME(forward), NAME(backward)}};

#undef V
#undef LANES
#undef ROWS
#undef NAME
#undef SPLAT
#undef FMA
#undef MAX
#undef SUM
#undef LARGEST
