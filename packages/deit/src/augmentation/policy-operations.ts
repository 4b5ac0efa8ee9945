/**
 * The operations of RandAugment and AutoAugment by timm's names: from a magnitude of 0 to 10 to what is done. The
 * "Increasing" ones grow stronger with the magnitude, of the others some grow weaker. Arguments that may go both ways
 * get a random sign.
 */
import { DeitError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Operation } from "./operation.ts";
import type { Interpolation } from "./resize.ts";

/** Magnitudes are parts of this. */
const LEVELS = 10;

interface Setting {
  readonly random: Random;
  readonly width: number;
  readonly height: number;
  readonly interpolation: Interpolation;
}

type MagnitudeToOperation = (magnitude: number, setting: Setting) => Operation;

const signed = (value: number, random: Random): number => (random.uniform() > 0.5 ? -value : value);
const part = (magnitude: number, whole: number): number => Math.trunc((magnitude / LEVELS) * whole);

function enhance(
  op: "color" | "contrast" | "brightness" | "sharpness",
): Record<string, MagnitudeToOperation> {
  const name = op.charAt(0).toUpperCase() + op.slice(1);
  return {
    [name]: (m) => ({ op, factor: (m / LEVELS) * 1.8 + 0.1 }),
    [`${name}Increasing`]: (m, { random }) => ({
      op,
      factor: Math.max(0.1, 1 + signed((m / LEVELS) * 0.9, random)),
    }),
  };
}

/** By timm's names. */
export const POLICY_OPERATIONS: Readonly<Record<string, MagnitudeToOperation>> = {
  AutoContrast: () => ({ op: "autoContrast" }),
  Equalize: () => ({ op: "equalize" }),
  Invert: () => ({ op: "invert" }),
  Rotate: (m, { random, interpolation }) => ({
    op: "rotate",
    degrees: signed((m / LEVELS) * 30, random),
    interpolation,
  }),
  Posterize: (m) => ({ op: "posterize", bits: part(m, 4) }),
  PosterizeIncreasing: (m) => ({ op: "posterize", bits: Math.max(4 - part(m, 4), 0) }),
  PosterizeOriginal: (m) => ({ op: "posterize", bits: Math.min(part(m, 4) + 4, 8) }),
  Solarize: (m) => ({ op: "solarize", threshold: Math.min(256, part(m, 256)) }),
  SolarizeIncreasing: (m) => ({ op: "solarize", threshold: 256 - Math.min(256, part(m, 256)) }),
  SolarizeAdd: (m) => ({ op: "solarizeAdd", amount: Math.min(128, part(m, 110)) }),
  ...enhance("color"),
  ...enhance("contrast"),
  ...enhance("brightness"),
  ...enhance("sharpness"),
  ShearX: (m, { random, interpolation }) => ({
    op: "shearX",
    factor: signed((m / LEVELS) * 0.3, random),
    interpolation,
  }),
  ShearY: (m, { random, interpolation }) => ({
    op: "shearY",
    factor: signed((m / LEVELS) * 0.3, random),
    interpolation,
  }),
  TranslateXRel: (m, { random, interpolation, width }) => ({
    op: "translateX",
    pixels: signed((m / LEVELS) * 0.45, random) * width,
    interpolation,
  }),
  TranslateYRel: (m, { random, interpolation, height }) => ({
    op: "translateY",
    pixels: signed((m / LEVELS) * 0.45, random) * height,
    interpolation,
  }),
  Desaturate: (m) => ({ op: "color", factor: 1 - (0.5 + 0.5 * Math.min(m / LEVELS, 1)) }),
  GaussianBlur: (m) => ({ op: "blur", radius: 0.1 + 1.9 * Math.min(m / LEVELS, 1) }),
  GaussianBlurRand: (m, { random }) => ({
    op: "blur",
    radius: random.uniform(0.1, 2 * Math.min(m / LEVELS, 1)),
  }),
};

/** How strong operations are and how far that varies. */
export interface MagnitudeOptions {
  /** Standard deviation of the magnitude; Infinity draws it evenly from 0 on. */
  readonly magnitudeStd: number;
  /** No magnitude is above it. */
  readonly magnitudeMax: number;
}

/** Does operation `name` with probability `probability` at about that magnitude: one operation or none. */
export function drawPolicyOperation(
  { name, probability, magnitude }: { name: string; probability: number; magnitude: number },
  { magnitudeStd, magnitudeMax }: MagnitudeOptions,
  setting: Setting,
): Operation[] {
  const { random } = setting;
  if (probability < 1 && random.uniform() >= probability) return [];
  const drawn =
    magnitudeStd === Number.POSITIVE_INFINITY
      ? random.uniform(0, magnitude)
      : magnitudeStd > 0
        ? random.normal(magnitude, magnitudeStd)
        : magnitude;
  const operation = POLICY_OPERATIONS[name];
  if (operation === undefined) throw new DeitError(`no operation ${name}`, { code: "image/argument" });
  return [operation(Math.min(Math.max(drawn, 0), magnitudeMax), setting)];
}
