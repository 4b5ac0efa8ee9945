/**
 * RegNetY (Radosavovic et al. 2020), the paper's convnet teachers (Table 2): widths from one linear rule, bottlenecks with
 * grouped convolutions, squeeze-and-excitation. Names and details are timm's.
 */
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { add, linear, mean, mul, relu, reshape, sigmoid } from "../graph/ops.ts";
import { at, inScope } from "../graph/graph.ts";
import { dimAt } from "../graph/shape.ts";
import { convNorm } from "../nn/convolution.ts";
import type { ForwardContext } from "../nn/context.ts";
import { ZEROS } from "../nn/linear.ts";
import type { Scope } from "../nn/parameters.ts";
import { convnet, recordFeatures } from "./convnet.ts";
import type { Model, ModelFamily } from "./model.ts";
import { inputSizeOf } from "./model.ts";

/** What distinguishes the RegNetYs: the rule of their widths. */
export interface RegNetConfig {
  /** Width of block i before rounding: w0 + wa · i. */
  readonly w0: number;
  readonly wa: number;
  /** Widths are rounded to w0 · wm^integer, then to multiples of 8. */
  readonly wm: number;
  /** Channels of a group of the 3 × 3 convolutions. */
  readonly groupWidth: number;
  /** Blocks. */
  readonly depth: number;
  readonly stemWidth?: number;
  /** 1 for small images; the papers' 2. */
  readonly stemStride?: 1 | 2;
}

export interface RegNetStage {
  readonly width: number;
  readonly depth: number;
  readonly groups: number;
}

/** Squeeze-and-excitation has this part of the channels that come into a block. */
const SQUEEZE = 0.25;

const row = (w0: number, wa: number, wm: number, groupWidth: number, depth: number): RegNetConfig => ({
  w0,
  wa,
  wm,
  groupWidth,
  depth,
});

/** By their multiply-accumulates at 224 pixels: 002 has 0.2 G, 160 has 16 G. */
const PAPER: Readonly<Record<string, RegNetConfig>> = {
  regnety_002: row(24, 36.44, 2.49, 8, 13),
  regnety_004: row(48, 27.89, 2.09, 8, 16),
  regnety_006: row(48, 32.54, 2.32, 16, 15),
  regnety_008: row(56, 38.84, 2.4, 16, 14),
  regnety_016: row(48, 20.71, 2.65, 24, 27),
  regnety_032: row(80, 42.63, 2.66, 24, 21),
  regnety_040: row(96, 31.41, 2.24, 64, 22),
  regnety_064: row(112, 33.22, 2.27, 72, 25),
  regnety_080: row(192, 76.82, 2.19, 56, 17),
  regnety_120: row(168, 73.36, 2.37, 112, 19),
  regnety_160: row(200, 106.23, 2.48, 112, 18),
  regnety_320: row(232, 115.89, 2.53, 232, 20),
};

/** For 32-pixel images: no stride in the stem, and one small enough for a CPU to train. */
const SMALL: Readonly<Record<string, RegNetConfig>> = {
  regnety_w32d9_32: { ...row(32, 14, 2, 8, 9), stemWidth: 16, stemStride: 1 },
  regnety_002_32: { ...row(24, 36.44, 2.49, 8, 13), stemStride: 1 },
};

export const regnets: ModelFamily = {
  names: [...Object.keys(SMALL), ...Object.keys(PAPER)],
  create(name, options): Model {
    const config = PAPER[name] ?? SMALL[name];
    if (config === undefined)
      throw new ConfigError("model", `no RegNetY ${name}`, { code: "model/unknown-name" });
    const small = name in SMALL;
    return regnet(name, {
      ...config,
      numClasses: options.numClasses ?? (small ? 10 : 1000),
      inputSize: inputSizeOf(options, small ? 32 : 224),
    });
  },
};

/** A RegNetY of any configuration. */
export function regnet(
  name: string,
  config: RegNetConfig & { readonly numClasses: number; readonly inputSize: readonly [number, number] },
): Model {
  const { numClasses, inputSize, depth, stemWidth = 32, stemStride = 2 } = config;
  const stages = regnetStages(config);
  return convnet(name, {
    config: { inputSize, numClasses, distilled: false },
    classWeight: "head.fc.weight",
    blocks: depth,
    logits(images, scope, context) {
      const stem = { outChannels: stemWidth, kernel: 3, stride: stemStride };
      let x = relu(convNorm(images, scope.at("stem"), stem, context));
      let index = 0;
      for (const [s, { width, depth: blocks, groups }] of stages.entries()) {
        for (let b = 0; b < blocks; b++) {
          const options = { width, groups, stride: b === 0 ? 2 : 1, index: index++ };
          const names = scope.at(`s${s + 1}.b${b + 1}`);
          const y = block(x, names, options, context);
          context.noteSegment(x, y);
          x = y;
        }
      }
      const features = mean(x, [2, 3]); // [B, C]
      recordFeatures(features, context);
      return fullyConnected(features, scope.at("head.fc"), numClasses);
    },
  });
}

/** Stages by the rule of the widths; blocks of one width are a stage. Halves are rounded to even, as Python does. */
export function regnetStages({ w0, wa, wm, groupWidth, depth }: RegNetConfig): RegNetStage[] {
  const widths = Array.from({ length: depth }, (_, i) => {
    const exponent = roundHalfEven(Math.log((w0 + wa * i) / w0) / Math.log(wm));
    return roundHalfEven((w0 * wm ** exponent) / 8) * 8;
  });
  return [...new Set(widths)].map((width) => {
    const group = Math.min(groupWidth, width);
    const fitted = roundHalfEven(width / group) * group;
    return {
      width: fitted,
      depth: widths.filter((other) => other === width).length,
      groups: fitted / group,
    };
  });
}

interface BlockOptions {
  readonly width: number;
  readonly groups: number;
  readonly stride: number;
  /** Of all blocks: the row of stochastic depth's mask. */
  readonly index: number;
}

/** x: [B, C, H, W] → [B, width, H / stride, W / stride]. */
function block(x: Value, scope: Scope, options: BlockOptions, context: ForwardContext): Value {
  return inScope(`blocks.${options.index}`, () => bottleneck(x, scope, options, context));
}

function bottleneck(
  x: Value,
  scope: Scope,
  { width, groups, stride, index }: BlockOptions,
  context: ForwardContext,
): Value {
  const inputs = dimAt(x.shape, 1);
  let y = relu(convNorm(x, scope.at("conv1"), { outChannels: width, kernel: 1 }, context));
  y = relu(convNorm(y, scope.at("conv2"), { outChannels: width, kernel: 3, stride, groups }, context));
  y = squeezeExcite(y, scope.at("se"), roundHalfEven(inputs * SQUEEZE));
  y = convNorm(y, scope.at("conv3"), { outChannels: width, kernel: 1, zeroInit: true }, context);
  const shortcut =
    stride === 1 && inputs === width
      ? x
      : convNorm(x, scope.at("downsample"), { outChannels: width, kernel: 1, stride }, context);
  return relu(add(shortcut, context.dropPath(y, index)));
}

/** Each channel scaled by what a small network makes of all channels' means (Hu et al. 2018). x: [B, C, H, W]. */
function squeezeExcite(x: Value, scope: Scope, hidden: number): Value {
  const [batch = 1, channels = 1] = x.shape;
  const squeezed = relu(pointwise(mean(x, [2, 3]), scope.at("fc1"), hidden));
  const scale = sigmoid(pointwise(squeezed, scope.at("fc2"), channels));
  return mul(x, reshape(scale, [batch, channels, 1, 1]));
}

/** A 1 × 1 convolution of one pixel: x: [B, C] → [B, out], its weight [out, C, 1, 1]. */
function pointwise(x: Value, scope: Scope, outChannels: number): Value {
  const inChannels = dimAt(x.shape, 1);
  const std = Math.sqrt(2 / outChannels);
  const weight = scope.parameter("weight", [outChannels, inChannels, 1, 1], { kind: "normal", std });
  const bias = scope.parameter("bias", [outChannels], ZEROS);
  return linear(x, reshape(weight, [outChannels, inChannels]), bias);
}

function fullyConnected(x: Value, scope: Scope, outFeatures: number): Value {
  const weight = scope.parameter("weight", [outFeatures, at(x.shape, 1)], { kind: "normal", std: 0.01 });
  return linear(x, weight, scope.parameter("bias", [outFeatures], ZEROS));
}

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}
