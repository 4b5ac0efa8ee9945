import { describe, expect, it } from "vitest";
import { createRandom } from "../src/random.ts";

const N = 100_000;

function draws(count: number, draw: () => number): Float64Array {
  return Float64Array.from({ length: count }, draw);
}

function moments(values: Float64Array): { mean: number; variance: number; skew: number; kurtosis: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const central = (power: number): number =>
    values.reduce((sum, x) => sum + (x - mean) ** power, 0) / values.length;
  const variance = central(2);
  return { mean, variance, skew: central(3) / variance ** 1.5, kurtosis: central(4) / variance ** 2 };
}

/** Pearson's χ² of counts against equal expectation, in standard deviations of its own distribution. */
function chiSquareScore(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  const freedom = counts.length - 1;
  return (chi - freedom) / Math.sqrt(2 * freedom);
}

function histogram(values: Float64Array, bins: number): number[] {
  const counts = Array.from({ length: bins }, () => 0);
  for (const x of values) {
    const bin = Math.floor(x * bins);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

function correlation(a: Float64Array, b: Float64Array): number {
  const ma = moments(a);
  const mb = moments(b);
  const covariance = a.reduce((sum, x, i) => sum + (x - ma.mean) * ((b[i] ?? 0) - mb.mean), 0) / a.length;
  return covariance / Math.sqrt(ma.variance * mb.variance);
}

describe("streams", () => {
  it("gives the recorded numbers: a change here changes every run ever made", () => {
    const random = createRandom(0, "sample", 3, 1, 0);
    expect([random.uniform(), random.integer(1000), random.normal(), random.beta(0.8, 0.8)])
      .toMatchInlineSnapshot(`
        [
          0.745921084296692,
          749,
          -1.4507640887418016,
          0.60109128787725,
        ]
      `);
    expect([...createRandom(7).permutation(8)]).toMatchInlineSnapshot(`
      [
        6,
        5,
        1,
        4,
        2,
        3,
        7,
        0,
      ]
    `);
  });

  it("depends on the seed, on each name and on its kind, and on nothing else", () => {
    const first = (...[seed, ...path]: [number, ...(string | number)[]]): number =>
      createRandom(seed, ...path).uniform();
    expect(first(1, "a", 2)).toBe(first(1, "a", 2));
    const different = [
      first(1),
      first(2),
      first(1.5),
      first(-1),
      first(2 ** 40),
      first(1, "a"),
      first(1, "b"),
      first(1, "ab"),
      first(1, "a", "b"),
      first(1, 1),
      first(1, "1"),
      first(1, 0, 1),
      first(1, 1, 0),
      first(1, ""),
      first(1, "", ""),
    ];
    expect(new Set(different).size).toBe(different.length);
    expect(first(-0)).toBe(first(0));
  });

  it("splits by name, without advancing the parent", () => {
    const parent = createRandom(5, "a");
    const next = createRandom(5, "a").uniform();
    const child = parent.split("b", 3);
    child.uniform();
    expect(parent.uniform()).toBe(next);
    expect(parent.split("b", 3).uniform()).toBe(createRandom(5, "a", "b", 3).uniform());
    expect(createRandom(5, "a").split("b").split(3).uniform()).toBe(createRandom(5, "a", "b", 3).uniform());
  });

  it("gives independent neighbours: no correlation between streams of adjacent indices, seeds or lags", () => {
    const limit = 4 / Math.sqrt(N);
    const random = createRandom(1, "sample", 0, 0, 0);
    const a = draws(N, () => random.uniform());
    const neighbour = createRandom(1, "sample", 0, 1, 0);
    const b = draws(N, () => neighbour.uniform());
    const child = createRandom(1, "sample", 0, 0, 0).split("child");
    const c = draws(N, () => child.uniform());
    expect(Math.abs(correlation(a, b))).toBeLessThan(limit);
    expect(Math.abs(correlation(a, c))).toBeLessThan(limit);
    expect(Math.abs(correlation(a.subarray(1), a.subarray(0, N - 1)))).toBeLessThan(limit);
    // the n-th draw of consecutive streams is itself a good generator
    for (const skip of [0, 1, 5]) {
      const across = Float64Array.from({ length: N }, (_, index) => {
        const stream = createRandom(0, "sample", 0, index, 0);
        for (let i = 0; i < skip; i++) stream.uniform();
        return stream.uniform();
      });
      expect(Math.abs(chiSquareScore(histogram(across, 256)))).toBeLessThan(4.5);
      expect(Math.abs(correlation(across.subarray(1), across.subarray(0, N - 1)))).toBeLessThan(limit);
    }
  });
});

describe("distributions", () => {
  it("uniform: moments, equal bins, equal pairs, the asked-for range", () => {
    const random = createRandom(1);
    const values = draws(N, () => random.uniform());
    const { mean, variance } = moments(values);
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.004);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.0015);
    expect(Math.abs(chiSquareScore(histogram(values, 1000)))).toBeLessThan(4.5);
    const pairs = Float64Array.from(
      { length: N / 2 },
      (_, i) => (Math.floor((values[2 * i] ?? 0) * 16) + (values[2 * i + 1] ?? 0)) / 16,
    );
    expect(Math.abs(chiSquareScore(histogram(pairs, 256)))).toBeLessThan(4.5);
    const ranged = draws(1000, () => random.uniform(-3, -2.5));
    expect(ranged.every((x) => x >= -3 && x < -2.5)).toBe(true);
  });

  it("uniform: all 53 bits are in use", () => {
    const random = createRandom(2);
    const low = draws(10_000, () => ((random.uniform() * 2 ** 53) % 1024) / 1024);
    expect(Math.abs(chiSquareScore(histogram(low, 64)))).toBeLessThan(4.5);
  });

  it("integer: every value equally often, without modulo bias", () => {
    const random = createRandom(3);
    const counts = Array.from({ length: 7 }, () => 0);
    for (let i = 0; i < N; i++) {
      const value = random.integer(7);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    expect(Math.abs(chiSquareScore(counts))).toBeLessThan(4.5);
    // 3·2^30: a modulo would give the first third twice as often
    const thirds = draws(30_000, () => random.integer(3 * 2 ** 30) / (3 * 2 ** 30));
    expect(Math.abs(chiSquareScore(histogram(thirds, 3)))).toBeLessThan(4.5);
    expect(random.integer(1)).toBe(0);
    for (const wrong of [0, -1, 1.5, Number.NaN, 2 ** 33])
      expect(() => random.integer(wrong)).toThrow(RangeError);
  });

  it("normal: four moments and the share in each standard deviation", () => {
    const random = createRandom(4);
    const values = draws(N, () => random.normal());
    const { mean, variance, skew, kurtosis } = moments(values);
    expect(Math.abs(mean)).toBeLessThan(0.015);
    expect(Math.abs(variance - 1)).toBeLessThan(0.02);
    expect(Math.abs(skew)).toBeLessThan(0.035);
    expect(Math.abs(kurtosis - 3)).toBeLessThan(0.08);
    const within = (sigma: number): number => values.filter((x) => Math.abs(x) < sigma).length / N;
    expect(within(1)).toBeCloseTo(0.6827, 2);
    expect(within(2)).toBeCloseTo(0.9545, 2);
    expect(1 - within(3)).toBeCloseTo(0.0027, 3);
    const shifted = moments(draws(N, () => random.normal(10, 0.5)));
    expect(shifted.mean).toBeCloseTo(10, 1);
    expect(Math.sqrt(shifted.variance)).toBeCloseTo(0.5, 2);
  });

  it("truncNormal: bounds are absolute, as in timm; variance of the cut normal", () => {
    const random = createRandom(5);
    const cut = draws(N, () => random.truncNormal({}));
    expect(cut.every((x) => x >= -2 && x <= 2)).toBe(true);
    expect(moments(cut).variance).toBeCloseTo(0.7737, 2); // 1 − 2·2φ(2)/(2Φ(2) − 1)
    const wide = draws(N, () => random.truncNormal({ std: 0.02 }));
    expect(Math.sqrt(moments(wide).variance)).toBeCloseTo(0.02, 3);
    expect(wide.some((x) => Math.abs(x) > 0.05)).toBe(true); // 2.5σ: the bounds −2…2 cut nothing
    const side = draws(2000, () => random.truncNormal({ mean: 1, std: 0.5, low: 1.5, high: 1.6 }));
    expect(side.every((x) => x >= 1.5 && x <= 1.6)).toBe(true);
  });

  it.each([
    [0.8, 0.8],
    [1, 1],
    [0.2, 0.5],
    [3, 7],
    [0.01, 0.01],
  ])("beta(%d, %d): mean and variance", (a, b) => {
    const random = createRandom(6, a, b);
    const values = draws(N, () => random.beta(a, b));
    expect(values.every((x) => x >= 0 && x <= 1)).toBe(true);
    const { mean, variance } = moments(values);
    const expected = (a * b) / ((a + b) ** 2 * (a + b + 1));
    expect(Math.abs(mean - a / (a + b))).toBeLessThan(4.5 * Math.sqrt(expected / N));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(0.03);
    if (a === 1 && b === 1) expect(Math.abs(chiSquareScore(histogram(values, 100)))).toBeLessThan(4.5);
  });

  it("permutation: every number once, every order equally often", () => {
    const random = createRandom(8);
    expect([...random.permutation(1000)].toSorted((x, y) => x - y)).toEqual(
      Array.from({ length: 1000 }, (_, i) => i),
    );
    expect(random.permutation(0).length).toBe(0);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = random.permutation(4).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(Math.abs(chiSquareScore([...counts.values()]))).toBeLessThan(4.5);
  });
});
