/**
 * The temperature at which a model's confidence means most (Guo et al. 2017, §4.2): logits / T with the T of least loss.
 * Found while the logits pass through, on a grid of 1/T, so that none is kept. What it is worth is measured on images
 * that it was not fitted to: each half of the images at the temperature of the other half.
 */

/** Distance of two inverse temperatures of the grid, and how many there are: T from 50 down to 0.25. */
const STEP = 0.02;
const STEPS = 200;
const BINS = 15;
/** exp(β·(logit − largest)) below this is nothing beside the largest's 1. */
const NOTHING = 1e-15;

export interface TemperatureFit {
  /** Of least loss on all images; logits are divided by it. Above 1 the model is too sure. */
  readonly temperature: number;
  /** The best one lies at the end of what was tried. */
  readonly atEdge: boolean;
  /** At the temperature of the half that an image is not in. */
  readonly crossFitted: {
    /** Expected calibration error in 15 bins, 0 to 1. */
    readonly ece: number;
    /** Mean cross-entropy in nats. */
    readonly loss: number;
  };
}

/** Sums of one half of the images, at every temperature. */
interface Half {
  count: number;
  readonly loss: Float64Array;
  /** [STEPS, BINS] each. */
  readonly confidence: Float64Array;
  readonly right: Float64Array;
}

export class TemperatureMeter {
  private readonly halves: readonly [Half, Half] = [half(), half()];
  private readonly sums = new Float64Array(STEPS);

  /** One image's logits [K]. Images of even and odd number are the halves. Logits that are not numbers do not count. */
  add(logits: Float32Array, label: number, image: number): void {
    const { sums } = this;
    const { halves } = this;
    const own = halves[image % 2 === 0 ? 0 : 1];
    let largest = -Infinity;
    let predicted = -1;
    for (const [k, logit] of logits.entries()) {
      if (Number.isNaN(logit)) return;
      if (logit > largest) [largest, predicted] = [logit, k];
    }
    sums.fill(0);
    for (const logit of logits) {
      // exp(β_j·d) for β_j = (j + 1)·STEP is a geometric sequence: a product each
      const ratio = Math.exp(STEP * (logit - largest));
      let term = 1;
      for (let j = 0; j < STEPS; j++) {
        term *= ratio;
        if (term < NOTHING) break;
        sums[j] = (sums[j] ?? 0) + term;
      }
    }
    const behind = largest - (logits[label] ?? Number.NaN);
    const isRight = predicted === label ? 1 : 0;
    own.count++;
    for (const [j, sum] of sums.entries()) {
      own.loss[j] = (own.loss[j] ?? 0) + Math.log(sum) + (j + 1) * STEP * behind;
      const cell = j * BINS + Math.min(BINS - 1, Math.max(0, Math.ceil(BINS / sum) - 1));
      own.confidence[cell] = (own.confidence[cell] ?? 0) + 1 / sum;
      own.right[cell] = (own.right[cell] ?? 0) + isRight;
    }
  }

  /** Undefined for fewer than two images. */
  result(): TemperatureFit | undefined {
    const [even, odd] = this.halves;
    if (even.count === 0 || odd.count === 0) return undefined;
    const best = lowest(even.loss.map((loss, j) => loss + (odd.loss[j] ?? 0)));
    const [ofEven, ofOdd] = [lowest(even.loss), lowest(odd.loss)];
    const n = even.count + odd.count;
    let error = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const [a, b] = [ofOdd * BINS + bin, ofEven * BINS + bin];
      const confidence = (even.confidence[a] ?? 0) + (odd.confidence[b] ?? 0);
      error += Math.abs((even.right[a] ?? 0) + (odd.right[b] ?? 0) - confidence);
    }
    return {
      temperature: 1 / ((best + 1) * STEP),
      atEdge: best === 0 || best === STEPS - 1,
      crossFitted: { ece: error / n, loss: ((even.loss[ofOdd] ?? 0) + (odd.loss[ofEven] ?? 0)) / n },
    };
  }
}

function half(): Half {
  return {
    count: 0,
    loss: new Float64Array(STEPS),
    confidence: new Float64Array(STEPS * BINS),
    right: new Float64Array(STEPS * BINS),
  };
}

function lowest(values: Float64Array): number {
  return values.indexOf(values.reduce((least, value) => Math.min(least, value), Infinity));
}
