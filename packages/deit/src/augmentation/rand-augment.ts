/**
 * RandAugment (Cubuk et al. 2019) in timm's words: `rand-m9-mstd0.5-inc1` does two operations, drawn from fifteen, each
 * with probability ½ at magnitude 9 ± 0.5 (§6, Table 9). Sections, in any order: m magnitude, n operations an image,
 * p probability of each, mstd noise of the magnitude (above 100: even from 0 on), mmax its limit, inc1 the operations
 * that grow with the magnitude, t a set of operations (3a, 3aw, weights).
 */
import { ConfigError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Operation } from "./operation.ts";
import type { MagnitudeOptions } from "./policy-operations.ts";
import { drawPolicyOperation } from "./policy-operations.ts";
import type { Interpolation } from "./resize.ts";

export interface RandAugmentOptions extends MagnitudeOptions {
  readonly magnitude: number;
  /** Operations that are drawn for an image. */
  readonly layers: number;
  /** Probability that a drawn operation is done. */
  readonly probability: number;
  /** Names of the operations. */
  readonly operations: readonly string[];
  /** How often each is drawn, relative to the others, and none twice; absent: all alike, again and again. */
  readonly weights?: readonly number[];
}

const PLAIN = [
  "AutoContrast",
  "Equalize",
  "Invert",
  "Rotate",
  "Posterize",
  "Solarize",
  "SolarizeAdd",
  "Color",
  "Contrast",
  "Brightness",
  "Sharpness",
  "ShearX",
  "ShearY",
  "TranslateXRel",
  "TranslateYRel",
];
const HAS_INCREASING = ["Posterize", "Solarize", "Color", "Contrast", "Brightness", "Sharpness"];
const INCREASING = PLAIN.map((name) => (HAS_INCREASING.includes(name) ? `${name}Increasing` : name));

const SETS: Readonly<Record<string, Readonly<Record<string, number>> | readonly string[]>> = {
  "3a": ["SolarizeIncreasing", "Desaturate", "GaussianBlur"],
  "3aw": {
    SolarizeIncreasing: 6,
    Desaturate: 6,
    GaussianBlur: 6,
    Rotate: 3,
    ShearX: 2,
    ShearY: 2,
    PosterizeIncreasing: 1,
    AutoContrast: 1,
    ColorIncreasing: 1,
    SharpnessIncreasing: 1,
    ContrastIncreasing: 1,
    BrightnessIncreasing: 1,
    Equalize: 1,
    Invert: 1,
  },
  weights: {
    Rotate: 3,
    ShearX: 2,
    ShearY: 2,
    TranslateXRel: 1,
    TranslateYRel: 1,
    ColorIncreasing: 0.25,
    SharpnessIncreasing: 0.25,
    AutoContrast: 0.25,
    SolarizeIncreasing: 0.05,
    SolarizeAdd: 0.05,
    ContrastIncreasing: 0.05,
    BrightnessIncreasing: 0.05,
    Equalize: 0.05,
    PosterizeIncreasing: 0.05,
    Invert: 0.05,
  },
};

/** Reads a policy `rand-…`. @throws ConfigError for a section that is none */
export function parseRandAugment(policy: string): RandAugmentOptions {
  const values = new Map<string, number>();
  let set: string | undefined;
  for (const section of policy.split("-").slice(1)) {
    const [, key = "", text = ""] = /^([a-z]+)(\d.*)$/.exec(section) ?? [];
    const value = Number(text);
    if (section.startsWith("t")) set = section.slice(1);
    else if (["m", "n", "p", "mstd", "mmax", "inc"].includes(key) && Number.isFinite(value))
      values.set(key, value);
    else throw wrongSection(policy, section);
  }
  if (set !== undefined && !(set in SETS)) throw wrongSection(policy, `t${set}`);
  const get = (key: string, standard: number): number => values.get(key) ?? standard;
  const chosen = set === undefined ? undefined : SETS[set];
  const std = get("mstd", 0);
  return {
    magnitude: get("m", 10),
    layers: get("n", 2),
    probability: get("p", 0.5),
    magnitudeStd: std > 100 ? Number.POSITIVE_INFINITY : std,
    magnitudeMax: get("mmax", 10),
    ...(chosen === undefined
      ? { operations: get("inc", 0) > 0 ? INCREASING : PLAIN }
      : Array.isArray(chosen)
        ? { operations: chosen }
        : { operations: Object.keys(chosen), weights: Object.values(chosen) }),
  };
}

function wrongSection(policy: string, section: string): ConfigError {
  return new ConfigError(
    "aa",
    `--aa: "${policy}" has the section "${section}", which RandAugment does not have`,
    {
      code: "options/value",
      hint: "Sections: m9 n2 p0.5 mstd0.5 mmax10 inc1 t3a, as in rand-m9-mstd0.5-inc1.",
    },
  );
}

/** What is done to one image. */
export function drawRandAugment(
  options: RandAugmentOptions,
  setting: { random: Random; width: number; height: number; interpolation: () => Interpolation },
): Operation[] {
  const { random, interpolation } = setting;
  const { operations, weights, layers, probability, magnitude } = options;
  const names =
    weights === undefined
      ? Array.from({ length: layers }, () => operations[random.integer(operations.length)] ?? "")
      : drawWeighted(random, operations, weights).slice(0, layers);
  return names.flatMap((name) =>
    drawPolicyOperation({ name, probability, magnitude }, options, {
      ...setting,
      interpolation: interpolation(),
    }),
  );
}

/** All names in an order drawn by weight, none twice: by the smallest of exponential waiting times. */
function drawWeighted(random: Random, names: readonly string[], weights: readonly number[]): string[] {
  const times = names.map((name, i) => ({ name, time: -Math.log(1 - random.uniform()) / (weights[i] ?? 0) }));
  return times.toSorted((a, b) => a.time - b.time).map(({ name }) => name);
}
