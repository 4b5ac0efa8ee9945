/**
 * AutoAugment (Cubuk et al. 2018, Table 8's "AutoAug"): each image gets one of 25 pairs of operations, learned on
 * ImageNet. timm's words: `original` is the paper's, `v0` that of the EfficientNet code, `originalr` and `v0r` are these
 * with a posterize that grows with its magnitude, `3a` is one of solarize, grey and blur. `-mstd0.5` adds noise to the
 * magnitudes.
 */
import { ConfigError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Operation } from "./operation.ts";
import type { MagnitudeOptions } from "./policy-operations.ts";
import { drawPolicyOperation } from "./policy-operations.ts";
import type { Interpolation } from "./resize.ts";

/** Operation, probability, magnitude. */
type Choice = readonly [name: string, probability: number, magnitude: number];

export interface AutoAugmentOptions extends MagnitudeOptions {
  /** One of these is done to an image, each of its operations with its own probability. */
  readonly policies: readonly (readonly Choice[])[];
}

const ORIGINAL: readonly (readonly Choice[])[] = [
  [
    ["PosterizeOriginal", 0.4, 8],
    ["Rotate", 0.6, 9],
  ],
  [
    ["Solarize", 0.6, 5],
    ["AutoContrast", 0.6, 5],
  ],
  [
    ["Equalize", 0.8, 8],
    ["Equalize", 0.6, 3],
  ],
  [
    ["PosterizeOriginal", 0.6, 7],
    ["PosterizeOriginal", 0.6, 6],
  ],
  [
    ["Equalize", 0.4, 7],
    ["Solarize", 0.2, 4],
  ],
  [
    ["Equalize", 0.4, 4],
    ["Rotate", 0.8, 8],
  ],
  [
    ["Solarize", 0.6, 3],
    ["Equalize", 0.6, 7],
  ],
  [
    ["PosterizeOriginal", 0.8, 5],
    ["Equalize", 1, 2],
  ],
  [
    ["Rotate", 0.2, 3],
    ["Solarize", 0.6, 8],
  ],
  [
    ["Equalize", 0.6, 8],
    ["PosterizeOriginal", 0.4, 6],
  ],
  [
    ["Rotate", 0.8, 8],
    ["Color", 0.4, 0],
  ],
  [
    ["Rotate", 0.4, 9],
    ["Equalize", 0.6, 2],
  ],
  [
    ["Equalize", 0, 7],
    ["Equalize", 0.8, 8],
  ],
  [
    ["Invert", 0.6, 4],
    ["Equalize", 1, 8],
  ],
  [
    ["Color", 0.6, 4],
    ["Contrast", 1, 8],
  ],
  [
    ["Rotate", 0.8, 8],
    ["Color", 1, 2],
  ],
  [
    ["Color", 0.8, 8],
    ["Solarize", 0.8, 7],
  ],
  [
    ["Sharpness", 0.4, 7],
    ["Invert", 0.6, 8],
  ],
  [
    ["ShearX", 0.6, 5],
    ["Equalize", 1, 9],
  ],
  [
    ["Color", 0.4, 0],
    ["Equalize", 0.6, 3],
  ],
  [
    ["Equalize", 0.4, 7],
    ["Solarize", 0.2, 4],
  ],
  [
    ["Solarize", 0.6, 5],
    ["AutoContrast", 0.6, 5],
  ],
  [
    ["Invert", 0.6, 4],
    ["Equalize", 1, 8],
  ],
  [
    ["Color", 0.6, 4],
    ["Contrast", 1, 8],
  ],
  [
    ["Equalize", 0.8, 8],
    ["Equalize", 0.6, 3],
  ],
];

const V0: readonly (readonly Choice[])[] = [
  [
    ["Equalize", 0.8, 1],
    ["ShearY", 0.8, 4],
  ],
  [
    ["Color", 0.4, 9],
    ["Equalize", 0.6, 3],
  ],
  [
    ["Color", 0.4, 1],
    ["Rotate", 0.6, 8],
  ],
  [
    ["Solarize", 0.8, 3],
    ["Equalize", 0.4, 7],
  ],
  [
    ["Solarize", 0.4, 2],
    ["Solarize", 0.6, 2],
  ],
  [
    ["Color", 0.2, 0],
    ["Equalize", 0.8, 8],
  ],
  [
    ["Equalize", 0.4, 8],
    ["SolarizeAdd", 0.8, 3],
  ],
  [
    ["ShearX", 0.2, 9],
    ["Rotate", 0.6, 8],
  ],
  [
    ["Color", 0.6, 1],
    ["Equalize", 1, 2],
  ],
  [
    ["Invert", 0.4, 9],
    ["Rotate", 0.6, 0],
  ],
  [
    ["Equalize", 1, 9],
    ["ShearY", 0.6, 3],
  ],
  [
    ["Color", 0.4, 7],
    ["Equalize", 0.6, 0],
  ],
  [
    ["Posterize", 0.4, 6],
    ["AutoContrast", 0.4, 7],
  ],
  [
    ["Solarize", 0.6, 8],
    ["Color", 0.6, 9],
  ],
  [
    ["Solarize", 0.2, 4],
    ["Rotate", 0.8, 9],
  ],
  [
    ["Rotate", 1, 7],
    ["TranslateYRel", 0.8, 9],
  ],
  [
    ["ShearX", 0, 0],
    ["Solarize", 0.8, 4],
  ],
  [
    ["ShearY", 0.8, 0],
    ["Color", 0.6, 4],
  ],
  [
    ["Color", 1, 0],
    ["Rotate", 0.6, 2],
  ],
  [
    ["Equalize", 0.8, 4],
    ["Equalize", 0, 8],
  ],
  [
    ["Equalize", 1, 4],
    ["AutoContrast", 0.6, 2],
  ],
  [
    ["ShearY", 0.4, 7],
    ["SolarizeAdd", 0.6, 7],
  ],
  [
    ["Posterize", 0.8, 2],
    ["Solarize", 0.6, 10],
  ],
  [
    ["Solarize", 0.6, 8],
    ["Equalize", 0.6, 1],
  ],
  [
    ["Color", 0.8, 6],
    ["Rotate", 0.4, 5],
  ],
];

const THREE: readonly (readonly Choice[])[] = [
  [["Solarize", 1, 5]],
  [["Desaturate", 1, 10]],
  [["GaussianBlurRand", 1, 10]],
];

const POLICIES: Readonly<Record<string, readonly (readonly Choice[])[]>> = {
  original: ORIGINAL,
  originalr: withIncreasing(ORIGINAL, "PosterizeOriginal"),
  v0: V0,
  v0r: withIncreasing(V0, "Posterize"),
  "3a": THREE,
};

function withIncreasing(policies: readonly (readonly Choice[])[], name: string): (readonly Choice[])[] {
  return policies.map((policy) =>
    policy.map(([given, ...rest]): Choice => [given === name ? "PosterizeIncreasing" : given, ...rest]),
  );
}

/** Reads a policy such as `original-mstd0.5`. @throws ConfigError for a name or section that is none */
export function parseAutoAugment(policy: string): AutoAugmentOptions {
  const [name = "", ...sections] = policy.split("-");
  const policies = POLICIES[name];
  if (policies === undefined) {
    throw new ConfigError("aa", `--aa: "${policy}" is not a policy`, {
      code: "options/value",
      hint: `Use RandAugment, as rand-m9-mstd0.5-inc1, or AutoAugment: ${Object.keys(POLICIES).join(", ")}; or none.`,
    });
  }
  let magnitudeStd = 0;
  for (const section of sections) {
    const value = /^mstd(\d+(?:\.\d+)?)$/.exec(section)?.[1];
    if (value === undefined) {
      throw new ConfigError(
        "aa",
        `--aa: "${policy}" has the section "${section}", which AutoAugment does not have`,
        { code: "options/value", hint: "Supported: mstd, as in original-mstd0.5." },
      );
    }
    magnitudeStd = Number(value);
  }
  return { policies, magnitudeStd, magnitudeMax: 10 };
}

/** What is done to one image. */
export function drawAutoAugment(
  options: AutoAugmentOptions,
  setting: { random: Random; width: number; height: number; interpolation: () => Interpolation },
): Operation[] {
  const { random, interpolation } = setting;
  const chosen = options.policies[random.integer(options.policies.length)] ?? [];
  return chosen.flatMap(([name, probability, magnitude]) =>
    drawPolicyOperation({ name, probability, magnitude }, options, {
      ...setting,
      interpolation: interpolation(),
    }),
  );
}
