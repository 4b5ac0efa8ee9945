/** The error function in double precision, for the oracle (ONNX Runtime has its own). */

/** erf(x) to about 1e-15: a series without cancellation below 3, the continued fraction of erfc above. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (Number.isNaN(z)) return x;
  if (z > 6) return Math.sign(x);
  if (z < 3) {
    let term = z;
    let total = z;
    for (let n = 1; term > total * 1e-17; n++) {
      term *= (2 * z * z) / (2 * n + 1);
      total += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * total;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction));
}
