/**
 * Multinomial logistic regression with an L2 penalty, by L-BFGS over all rows at once: mean cross-entropy + λ/2 · ‖W‖², the
 * biases free. It is scikit-learn's LogisticRegression(C = 1 / (n · λ)).
 */

export interface Rows {
  /** [n, width], row-major. */
  readonly data: Float64Array;
  readonly width: number;
  /** Class indices below `numClasses`. */
  readonly labels: Int32Array;
  readonly numClasses: number;
}

/** [width + 1, K], row-major; the last row are the biases. */
export type Weights = Float64Array;

/** Pairs of steps and gradients that the curvature is estimated from. */
const MEMORY = 10;
const MOST_STEPS = 300;
/** Of the gradient's largest element, where nothing else is asked for. */
const TOLERANCE = 1e-5;

/** Fits from `start`, or from zeros, until no element of the gradient is above `tolerance`. */
export function fitLogistic(
  rows: Rows,
  { l2, start, tolerance = TOLERANCE }: { l2: number; start?: Weights; tolerance?: number },
): Weights {
  const size = (rows.width + 1) * rows.numClasses;
  let weights = start ? Float64Array.from(start) : new Float64Array(size);
  let { loss, gradient } = objective(rows, weights, l2);
  const pairs: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < MOST_STEPS; iteration++) {
    if (gradient.every((g) => Math.abs(g) < tolerance)) break;
    const direction = twoLoop(gradient, pairs);
    const slope = dot(direction, gradient);
    let rate = pairs.length === 0 ? 1 / Math.max(1, Math.sqrt(dot(gradient, gradient))) : 1;
    let next = weights;
    let found = { loss, gradient };
    // Armijo's rule: halve until the loss falls by a part of what the slope promises
    for (let halvings = 0; halvings < 30; halvings++, rate /= 2) {
      const step = rate;
      next = weights.map((w, i) => w + step * (direction[i] ?? 0));
      found = objective(rows, next, l2);
      if (found.loss <= loss + 1e-4 * step * slope) break;
    }
    const s = next.map((w, i) => w - (weights[i] ?? 0));
    const y = found.gradient.map((g, i) => g - (gradient[i] ?? 0));
    const curvature = dot(s, y);
    if (!(found.loss < loss)) break;
    if (curvature > 1e-12) {
      pairs.push({ s, y, rho: 1 / curvature });
      if (pairs.length > MEMORY) pairs.shift();
    }
    weights = next;
    ({ loss, gradient } = found);
  }
  return weights;
}

/** Logits [n, K]. */
export function logitsOf({ data, width, labels, numClasses }: Rows, weights: Weights): Float64Array {
  const logits = new Float64Array(labels.length * numClasses);
  const biases = width * numClasses;
  for (let row = 0; row < labels.length; row++) {
    const out = row * numClasses;
    for (let k = 0; k < numClasses; k++) logits[out + k] = weights[biases + k] as number;
    for (let i = 0; i < width; i++) {
      const x = data[row * width + i] as number;
      const from = i * numClasses;
      for (let k = 0; k < numClasses; k++)
        logits[out + k] = (logits[out + k] as number) + x * (weights[from + k] as number);
    }
  }
  return logits;
}

function objective(rows: Rows, weights: Weights, l2: number): { loss: number; gradient: Float64Array } {
  const { data, width, labels, numClasses } = rows;
  const n = labels.length;
  const errors = logitsOf(rows, weights); // becomes (p − y) / n
  let loss = 0;
  for (let row = 0; row < n; row++) {
    const at = row * numClasses;
    let max = -Infinity;
    for (let k = 0; k < numClasses; k++) max = Math.max(max, errors[at + k] as number);
    let sum = 0;
    for (let k = 0; k < numClasses; k++) sum += Math.exp((errors[at + k] as number) - max);
    const label = labels[row] as number;
    loss += max + Math.log(sum) - (errors[at + label] as number);
    for (let k = 0; k < numClasses; k++) {
      const p = Math.exp((errors[at + k] as number) - max) / sum;
      errors[at + k] = (p - (k === label ? 1 : 0)) / n;
    }
  }
  const gradient = new Float64Array(weights.length);
  const biases = width * numClasses;
  for (let row = 0; row < n; row++) {
    const at = row * numClasses;
    for (let i = 0; i < width; i++) {
      const x = data[row * width + i] as number;
      const to = i * numClasses;
      for (let k = 0; k < numClasses; k++)
        gradient[to + k] = (gradient[to + k] as number) + x * (errors[at + k] as number);
    }
    for (let k = 0; k < numClasses; k++)
      gradient[biases + k] = (gradient[biases + k] as number) + (errors[at + k] as number);
  }
  let norm = 0;
  for (let i = 0; i < biases; i++) {
    const w = weights[i] as number;
    norm += w * w;
    gradient[i] = (gradient[i] as number) + l2 * w;
  }
  return { loss: loss / n + (l2 / 2) * norm, gradient };
}

/** −H·g by the two loops of L-BFGS (Nocedal & Wright, algorithm 7.4). */
function twoLoop(
  gradient: Float64Array,
  pairs: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  const q = gradient.map((g) => -g);
  const alphas: number[] = [];
  for (const { s, y, rho } of pairs.toReversed()) {
    const alpha = rho * dot(s, q);
    alphas.push(alpha);
    addScaled(q, y, -alpha);
  }
  const last = pairs.at(-1);
  if (last !== undefined) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i] = (q[i] as number) * scale;
  }
  for (const [i, { s, y, rho }] of pairs.entries()) {
    const beta = rho * dot(y, q);
    addScaled(q, s, (alphas[pairs.length - 1 - i] ?? 0) - beta);
  }
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function addScaled(target: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) + factor * (values[i] as number);
}
