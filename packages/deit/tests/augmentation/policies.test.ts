/** RandAugment and AutoAugment are timm's: what a policy string says, what a magnitude means, and how often things happen. */
import { describe, expect, test } from "vitest";
import { drawAutoAugment, parseAutoAugment } from "../../src/augmentation/auto-augment.ts";
import { applyOperation, type Operation } from "../../src/augmentation/operation.ts";
import { drawPolicyOperation, POLICY_OPERATIONS } from "../../src/augmentation/policy-operations.ts";
import { drawRandAugment, parseRandAugment } from "../../src/augmentation/rand-augment.ts";
import { ConfigError } from "../../src/errors.ts";
import { createRandom, type Random } from "../../src/random.ts";
import golden from "../golden/policies/levels.json" with { type: "json" };
import policies from "../golden/policies/policies.json" with { type: "json" };
import { generate } from "./generated.ts";

const size = { width: 40, height: 30 };

/** Uniforms that negate (or not), and a range's upper end. */
function fixed(uniform: number): Random {
  const random = createRandom(0);
  return { ...random, uniform: (low = 0, high = 1) => low + (high - low) * uniform };
}

/** The one number of an operation that its magnitude decides, in timm's units. */
function argumentOf(operation: Operation): number[] {
  switch (operation.op) {
    case "posterize":
      return [operation.bits];
    case "solarize":
      return [operation.threshold];
    case "solarizeAdd":
      return [operation.amount];
    case "color":
    case "contrast":
    case "brightness":
    case "sharpness":
    case "shearX":
    case "shearY":
      return [operation.factor];
    case "rotate":
      return [operation.degrees];
    case "translateX":
      return [operation.pixels / size.width];
    case "translateY":
      return [operation.pixels / size.height];
    case "blur":
      return [operation.radius];
    default:
      return [];
  }
}

describe("magnitudes mean what they mean in timm", () => {
  test.each(Object.entries(golden.levels))("%s", (name, rows) => {
    expect(Object.keys(POLICY_OPERATIONS)).toContain(name);
    for (const [i, magnitude] of golden.magnitudes.entries()) {
      for (const [k, uniform] of [0.25, 0.75].entries()) {
        const setting = { random: fixed(uniform), ...size, interpolation: "bicubic" } as const;
        const operation = POLICY_OPERATIONS[name]?.(magnitude, setting);
        const expected = rows[i]?.[k] ?? [];
        const given = operation ? argumentOf(operation) : [];
        // timm blends from grey by the rest of the level, and draws this radius itself
        const wanted =
          name === "Desaturate"
            ? expected.map((value) => 1 - value)
            : name === "GaussianBlurRand"
              ? expected.map((value) => 0.1 + (2 * value - 0.1) * uniform)
              : expected;
        expect(given).toHaveLength(wanted.length);
        for (const [at, value] of wanted.entries()) expect(given[at]).toBeCloseTo(value, 12);
      }
    }
  });
});

describe("policy strings are read as timm reads them", () => {
  test.each(Object.entries(policies.rand))("%s", (policy, expected) => {
    const options = parseRandAugment(policy);
    expect(options.layers).toBe(expected.layers);
    expect(options.operations).toEqual(expected.ops.map(([name]) => name));
    const [, probability, magnitude, std, max] = expected.ops[0] ?? [];
    expect(options).toMatchObject({
      probability,
      magnitude,
      magnitudeStd: std ?? Number.POSITIVE_INFINITY,
      magnitudeMax: max ?? 10,
    });
    const total = options.weights?.reduce((sum, weight) => sum + weight, 0) ?? 1;
    for (const [i, weight] of (expected.weights ?? []).entries())
      expect((options.weights?.[i] ?? 0) / total).toBeCloseTo(weight, 12);
    expect(options.weights === undefined).toBe(expected.weights === null);
  });

  test.each(Object.entries(policies.auto))("%s", (policy, expected) => {
    const options = parseAutoAugment(policy);
    expect(options.policies).toEqual(expected.map((sub) => sub.map((op) => op.slice(0, 3))));
    expect(options.magnitudeStd).toBe(expected[0]?.[0]?.[3]);
  });

  test.each([
    ["randm9", "is not a policy"],
    ["rand-x3", 'has the section "x3"'],
    ["rand-m", 'has the section "m"'],
    ["rand-tnone", 'has the section "tnone"'],
    ["original-m9", 'has the section "m9"'],
    ["augmix-m3", "is not a policy"],
  ])("%s is refused", (policy, message) => {
    const parse = policy.startsWith("rand-") ? parseRandAugment : parseAutoAugment;
    expect(() => parse(policy)).toThrow(ConfigError);
    expect(() => parse(policy)).toThrow(message);
  });
});

describe("over 10,000 images", () => {
  const draws = 10_000;
  const interpolation = (): "bicubic" => "bicubic";
  const options = parseRandAugment("rand-m9-mstd0.5-inc1");
  const drawn = Array.from({ length: draws }, (_, i) =>
    drawRandAugment(options, { random: createRandom(1, i), ...size, interpolation }),
  );
  const all = drawn.flat();
  /** Four standard deviations of a count. */
  const near = (count: number, tries: number, probability: number): void => {
    const deviation = Math.sqrt(tries * probability * (1 - probability));
    expect(Math.abs(count - tries * probability)).toBeLessThan(4 * deviation);
  };

  test("half of the operations are done, each of the fifteen alike", () => {
    near(all.length, 2 * draws, 0.5);
    const kinds = Map.groupBy(all, ({ op }) => op);
    expect(kinds.size).toBe(15);
    for (const operations of kinds.values()) near(operations.length, 2 * draws, 0.5 / 15);
    near(drawn.filter(({ length }) => length === 0).length, draws, 0.25);
  });

  test("magnitudes are 9 ± 0.5, cut off at 10, and both signs alike", () => {
    const degrees = all.flatMap((operation) => (operation.op === "rotate" ? [operation.degrees] : []));
    near(degrees.filter((value) => value > 0).length, degrees.length, 0.5);
    const magnitudes = degrees.map((value) => Math.abs(value) / 3);
    const mean = magnitudes.reduce((sum, value) => sum + value, 0) / magnitudes.length;
    expect(Math.abs(mean - 8.996)).toBeLessThan((4 * 0.5) / Math.sqrt(magnitudes.length));
    expect(Math.max(...magnitudes)).toBeLessThanOrEqual(10);
    near(magnitudes.filter((value) => value === 10).length, magnitudes.length, 0.0228);
    const bits = all.flatMap((operation) => (operation.op === "posterize" ? [operation.bits] : []));
    expect([...new Set(bits)].toSorted((a, b) => a - b)).toEqual([0, 1, 2]); // black at magnitude 10, 2 bits below 7.5
  });

  test("AutoAugment does each pair alike, its operations by their own probabilities", () => {
    const original = parseAutoAugment("original");
    const done = Array.from({ length: draws }, (_, i) =>
      drawAutoAugment(original, { random: createRandom(2, i), ...size, interpolation }),
    );
    // equalize: the sum of its probabilities over the pairs
    const expected = original.policies
      .flat()
      .reduce((sum, [name, p]) => sum + (name === "Equalize" ? p : 0), 0);
    const equalized = done.flat().filter(({ op }) => op === "equalize").length;
    expect(Math.abs(equalized - (draws * expected) / 25)).toBeLessThan(
      4 * Math.sqrt((draws * expected) / 25),
    );
  });

  test("weighted sets never draw an operation twice, heavy ones more often", () => {
    const weighted = parseRandAugment("rand-m9-n3-p1.0-tweights");
    const sets = Array.from({ length: draws }, (_, i) =>
      drawRandAugment(weighted, { random: createRandom(3, i), ...size, interpolation }).map(({ op }) => op),
    );
    for (const names of sets) expect(new Set(names).size).toBe(3);
    const count = (op: string): number => sets.filter((names) => names.includes(op as never)).length;
    expect(count("rotate")).toBeGreaterThan(count("shearX"));
    expect(count("shearX")).toBeGreaterThan(3 * count("invert"));
  });
});

test("draws are plain data: through JSON they give the same pixels", () => {
  const image = generate(40, 30, "gradient");
  const options = parseRandAugment("rand-m9-mstd0.5-inc1-n4");
  for (let i = 0; i < 40; i++) {
    const draw = drawRandAugment(options, {
      random: createRandom(4, i),
      ...size,
      interpolation: () => "bicubic",
    });
    const again = JSON.parse(JSON.stringify(draw)) as Operation[];
    expect(again.reduce(applyOperation, image).data).toEqual(draw.reduce(applyOperation, image).data);
  }
});

test("an operation without chance needs no draw", () => {
  const setting = { random: createRandom(0), ...size, interpolation: "bicubic" } as const;
  const still = { magnitudeStd: 0, magnitudeMax: 10 };
  expect(drawPolicyOperation({ name: "Invert", probability: 1, magnitude: 3 }, still, setting)).toEqual([
    { op: "invert" },
  ]);
});
