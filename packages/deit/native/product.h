/*
 * Products of matrices for one kind of processor: attention.c includes this once for each, with LANES (numbers in a vector),
 * ROWS (of a tile that stays in registers), SPLAT(x), FMA(a, b, c), MAX(a, b), SUM(a), LARGEST(a) and NAME(x), which makes names of its own.
 *
 * The right operand is packed first: panels of two vectors' columns (the last may be one vector wide), each row of a panel after
 * the one above it, missing columns 0. The left one is read as it lies, with any strides. The result has rows that end with
 * whole vectors, so that nothing is cut. Every number is summed up over k from 0 on, by one sum.
 */
typedef float NAME(Vector) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t NAME(Bits) __attribute__((vector_size(4 * LANES), aligned(4)));
#define V NAME(Vector)

/* Columns with what makes whole vectors of them; rows that are a multiple of 512 bytes apart would share few lines of a cache. */
INLINE int64_t NAME(padded)(int64_t columns) {
  const int64_t whole = (columns + LANES - 1) / LANES * LANES;
  return whole % 128 == 0 ? whole + LANES : whole;
}

/* b: k rows of n columns, `row` and `column` numbers apart. */
static void NAME(pack)(int64_t k, int64_t n, const float *b, int64_t row, int64_t column, float *packed) {
  for (int64_t j = 0; j < n; j += 2 * LANES) {
    const int64_t left = n - j < 2 * LANES ? n - j : 2 * LANES, width = left > LANES ? 2 * LANES : LANES;
    float *to = packed + j * k;
    if (column == 1) {
      for (int64_t p = 0; p < k; p++, to += width)
        for (int64_t l = 0; l < width; l++) to[l] = l < left ? b[p * row + j + l] : 0;
    } else {
      for (int64_t p = 0; p < k; p++, to += width)
        for (int64_t l = 0; l < width; l++) to[l] = l < left ? b[p * row + (j + l) * column] : 0;
    }
  }
}

INLINE void NAME(tile)(const int rows, const int vectors, int64_t k, const float *a, int64_t row, int64_t column, const float *b,
                       float *c, int64_t c_row, int add) {
  V sums[ROWS][2];
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = SPLAT(0.f);
  for (int64_t p = 0; p < k; p++, b += vectors * LANES) {
    const V first = *(const V *)b, second = *(const V *)(b + (vectors - 1) * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
      const V x = SPLAT(a[i * row + p * column]);
      sums[i][0] = FMA(x, first, sums[i][0]);
      if (vectors == 2) sums[i][1] = FMA(x, second, sums[i][1]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    V *to = (V *)(c + i * c_row);
    to[0] = add ? to[0] + sums[i][0] : sums[i][0];
    if (vectors == 2) to[1] = add ? to[1] + sums[i][1] : sums[i][1];
  }
}

/* c [m, padded n] = a·b, or that added to c. a: m rows of k columns, with strides. */
static void NAME(product)(int64_t m, int64_t n, int64_t k, const float *a, int64_t row, int64_t column, const float *packed, float *c,
                          int64_t c_row, int add) {
#define TILES(R)                                                                             \
  for (; m - i >= R; i += R) {                                                               \
    const float *from = a + i * row;                                                         \
    float *to = c + i * c_row + j;                                                           \
    if (n - j > LANES) NAME(tile)(R, 2, k, from, row, column, packed + j * k, to, c_row, add); \
    else NAME(tile)(R, 1, k, from, row, column, packed + j * k, to, c_row, add);              \
  }
  for (int64_t j = 0; j < n; j += 2 * LANES) {
    int64_t i = 0;
    TILES(ROWS)
    TILES(4)
    TILES(2)
    TILES(1)
  }
#undef TILES
}
