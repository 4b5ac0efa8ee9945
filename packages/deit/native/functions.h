/* exp and erf as ONNX Runtime's MLAS computes them, to the bit; loops over them are made of vector instructions by the compiler. */
#pragma once
#include <math.h>
#include <string.h>

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
