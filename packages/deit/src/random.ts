/**
 * Random numbers that depend on a seed and a path of names, and on nothing else: the same on every machine,
 * in every worker, in any order of use. The path is hashed to 128 bits (murmur3's mixing), which start an
 * sfc32 generator. A child stream is named, never drawn: `split` does not advance its parent, and
 * `createRandom(seed, "a").split("b")` is `createRandom(seed, "a", "b")`. Not for cryptography.
 */

/** A stream of random numbers. */
export interface Random {
  /** Uniform in [low, high), 53 random bits. Default [0, 1). */
  uniform(low?: number, high?: number): number;
  /** Uniform integer in [0, exclusiveMax), without modulo bias. */
  integer(exclusiveMax: number): number;
  /** Normal by the inverse CDF of one uniform. Default mean 0, std 1. */
  normal(mean?: number, std?: number): number;
  /**
   * Normal cut to [low, high], which are absolute values and not multiples of std: timm's `trunc_normal_`,
   * inverse CDF of a uniform, clamped. Default mean 0, std 1, low −2, high 2.
   */
  truncNormal(options: { mean?: number; std?: number; low?: number; high?: number }): number;
  /** Beta(a, b), both > 0, from two gamma variates (Marsaglia and Tsang). */
  beta(a: number, b: number): number;
  /** 0…n−1 in random order (Fisher and Yates). */
  permutation(n: number): Uint32Array;
  /** The independent child stream of that name; the parent is not advanced. */
  split(...path: (string | number)[]): Random;
}

/** The stream of `seed` and `path`. Any number is a seed; equal arguments give equal streams. */
export function createRandom(seed: number, ...path: (string | number)[]): Random {
  return new Stream(extend(ROOT, [seed, ...path]));
}

/** 128 bits that name a stream. */
type Key = readonly [number, number, number, number];
const ROOT: Key = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 0x7f4a7c15];

const TWO_32 = 0x1_0000_0000;
const TWO_53 = 0x20_0000_0000_0000;

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

/** Adds names to a key. Each is preceded by its kind and length, so that ("ab") is not ("a", "b") and 1 is not "1". */
function extend(key: Key, path: readonly (string | number)[]): Key {
  let [h1, h2, h3, h4] = key;
  const absorb = (word: number): void => {
    h1 =
      Math.imul(rotate(h1 ^ Math.imul(rotate(Math.imul(word, 0x239b961b), 15), 0xab0e9789), 19) + h2, 5) +
      0x561ccd1b;
    h2 =
      Math.imul(rotate(h2 ^ Math.imul(rotate(Math.imul(word, 0xab0e9789), 16), 0x38b34ae5), 17) + h3, 5) +
      0x0bcaa747;
    h3 =
      Math.imul(rotate(h3 ^ Math.imul(rotate(Math.imul(word, 0x38b34ae5), 17), 0xa1e38b93), 15) + h4, 5) +
      0x96cd1c35;
    h4 =
      Math.imul(rotate(h4 ^ Math.imul(rotate(Math.imul(word, 0xa1e38b93), 18), 0x239b961b), 13) + h1, 5) +
      0x32ac3b17;
  };
  for (const part of path) {
    if (typeof part === "number") {
      absorb(1);
      float[0] = part + 0; // −0 is 0
      absorb(words[0] ?? 0);
      absorb(words[1] ?? 0);
    } else {
      absorb(2);
      absorb(part.length);
      for (let i = 0; i < part.length; i++) absorb(part.charCodeAt(i));
    }
  }
  return [h1, h2, h3, h4];
}

function rotate(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** murmur3's final avalanche: every input bit flips every output bit with probability ½. */
function avalanche(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** sfc32 (Doty-Humphrey, PractRand): 96 bits of chaos and a 32-bit counter. */
class Stream implements Random {
  readonly #key: Key;
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  constructor(key: Key) {
    this.#key = key;
    this.#a = avalanche(key[0] + key[3]);
    this.#b = avalanche(key[1] + this.#a);
    this.#c = avalanche(key[2] + this.#b);
    this.#counter = avalanche(key[3] + this.#c);
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** 32 random bits, unsigned. */
  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (rotate(this.#c, 21) + sum) | 0;
    return sum >>> 0;
  }

  uniform(low = 0, high = 1): number {
    const unit = ((this.#next() >>> 5) * 0x400_0000 + (this.#next() >>> 6)) / TWO_53;
    const value = low + (high - low) * unit;
    return value < high || high <= low ? value : low; // rounding may reach `high`
  }

  integer(exclusiveMax: number): number {
    if (!Number.isInteger(exclusiveMax) || exclusiveMax < 1 || exclusiveMax > TWO_32)
      throw new RangeError(`integer(${exclusiveMax}): expected a whole number from 1 to 2^32`);
    const limit = TWO_32 - (TWO_32 % exclusiveMax);
    let bits = this.#next();
    while (bits >= limit) bits = this.#next();
    return bits % exclusiveMax;
  }

  normal(mean = 0, std = 1): number {
    return mean + std * normalQuantile(this.#open());
  }

  truncNormal({
    mean = 0,
    std = 1,
    low = -2,
    high = 2,
  }: {
    mean?: number;
    std?: number;
    low?: number;
    high?: number;
  }): number {
    const below = normalCdf((low - mean) / std);
    const above = normalCdf((high - mean) / std);
    const value = mean + std * normalQuantile(below + (above - below) * this.#open());
    return Math.min(Math.max(value, low), high);
  }

  beta(a: number, b: number): number {
    if (!(a > 0) || !(b > 0)) throw new RangeError(`beta(${a}, ${b}): expected two numbers above 0`);
    const x = this.#logGamma(a);
    const y = this.#logGamma(b);
    return 1 / (1 + Math.exp(y - x)); // of logarithms, because both variates may underflow for small a and b
  }

  /** The logarithm of a Gamma(shape, 1) variate (Marsaglia and Tsang 2000; shapes below 1 boosted). */
  #logGamma(shape: number): number {
    if (shape < 1) return this.#logGamma(shape + 1) + Math.log(this.#open()) / shape;
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(this.#open()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return Math.log(d * v);
    }
  }

  permutation(n: number): Uint32Array {
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      const j = this.integer(i + 1);
      order[i] = order[j] ?? 0;
      order[j] = i;
    }
    return order;
  }

  split(...path: (string | number)[]): Random {
    return new Stream(extend(this.#key, path));
  }

  /** Uniform in (0, 1): never an end, where the inverse CDF and the logarithm are infinite. */
  #open(): number {
    return Math.max(this.uniform(), 0.5 / TWO_53);
  }
}

/** Φ(x), about 15 digits: Hart's algorithm 5666 as given by West (2005). */
function normalCdf(x: number): number {
  const z = Math.abs(x);
  let tail = 0;
  if (z < 37) {
    const e = Math.exp((-z * z) / 2);
    if (z < 7.07106781186547) {
      const top = polynomial(
        z,
        [
          220.206867912376, 221.213596169931, 112.079291497871, 33.912866078383, 6.37396220353165,
          0.700383064443688, 3.52624965998911e-2,
        ],
      );
      const bottom = polynomial(
        z,
        [
          440.413735824752, 793.826512519948, 637.333633378831, 296.564248779674, 86.7807322029461,
          16.064177579207, 1.75566716318264, 8.83883476483184e-2,
        ],
      );
      tail = (e * top) / bottom;
    } else tail = e / (z + 1 / (z + 2 / (z + 3 / (z + 4 / (z + 0.65))))) / 2.506628274631;
  }
  return x > 0 ? 1 - tail : tail;
}

/** Φ⁻¹(p) for 0 < p < 1, about 16 digits: Wichura's algorithm AS 241 (1988). */
export function normalQuantile(p: number): number {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * polynomial(r, CENTRE[0])) / polynomial(r, CENTRE[1]);
  }
  const r = Math.sqrt(-Math.log(q < 0 ? p : 1 - p));
  const value =
    r <= 5
      ? polynomial(r - 1.6, MIDDLE[0]) / polynomial(r - 1.6, MIDDLE[1])
      : polynomial(r - 5, TAIL[0]) / polynomial(r - 5, TAIL[1]);
  return q < 0 ? -value : value;
}

const CENTRE = [
  [
    3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
    67265.7709270087, 33430.57558358813, 2509.0809287301227,
  ],
  [
    1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
    28729.085735721943, 5226.495278852854,
  ],
] as const;
const MIDDLE = [
  [
    1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
    0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
  ],
  [
    1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
    0.0005475938084995345, 1.0507500716444169e-9,
  ],
] as const;
const TAIL = [
  [
    6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124,
    0.0012426609473880784, 2.7115555687434876e-5, 2.0103343992922881e-7,
  ],
  [
    1, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133,
    1.8463183175100548e-5, 1.421511758316446e-7, 2.0442631033899397e-15,
  ],
] as const;

/** c₀ + c₁x + c₂x² + … */
function polynomial(x: number, coefficients: readonly number[]): number {
  let value = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) value = value * x + (coefficients[i] ?? 0);
  return value;
}
