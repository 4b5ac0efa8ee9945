/**
 * ResNet for CIFAR (He et al. 2016, §4.2): three stages of n blocks, widths 16, 32, 64, shortcuts without parameters. The
 * tensors are named as in the PyTorch implementation whose weights are around (layer1.0.conv1, linear).
 */
import { ConfigError } from "../errors.ts";
import { constant, inScope } from "../graph/graph.ts";
import type { Value } from "../graph/graph.ts";
import { add, conv2d, linear, mean, relu } from "../graph/ops.ts";
import { dimAt } from "../graph/shape.ts";
import { batchNorm } from "../nn/batch-norm.ts";
import { convolution } from "../nn/convolution.ts";
import type { ForwardContext } from "../nn/context.ts";
import { ZEROS } from "../nn/linear.ts";
import type { Scope } from "../nn/parameters.ts";
import { convnet, recordFeatures } from "./convnet.ts";
import type { Model, ModelFamily } from "./model.ts";
import { inputSizeOf } from "./model.ts";

const WIDTHS = [16, 32, 64] as const;
/** By layers: 6n + 2. */
const DEPTHS = [20, 32, 44, 56, 110] as const;
const nameOf = (layers: number): string => `resnet${layers}_cifar`;

export const resnets: ModelFamily = {
  names: DEPTHS.map(nameOf),
  create(name, options): Model {
    const layers = DEPTHS.find((depth) => nameOf(depth) === name);
    if (layers === undefined)
      throw new ConfigError("model", `no ResNet ${name}`, { code: "model/unknown-name" });
    const blocks = (layers - 2) / 6;
    const numClasses = options.numClasses ?? 10;
    return convnet(name, {
      config: { inputSize: inputSizeOf(options, 32), numClasses, distilled: false },
      classWeight: "linear.weight",
      blocks: 3 * blocks,
      logits(images, scope, context) {
        let x = convolution(images, scope.at("conv1"), { outChannels: WIDTHS[0], kernel: 3 });
        x = relu(batchNorm(x, scope.at("bn1"), {}, context));
        for (const [s, width] of WIDTHS.entries()) {
          for (let b = 0; b < blocks; b++) {
            const index = s * blocks + b;
            const stride = s > 0 && b === 0 ? 2 : 1;
            const names = scope.at(`layer${s + 1}.${b}`);
            const y = block(x, names, { width, stride, index }, context);
            context.noteSegment(x, y);
            x = y;
          }
        }
        const features = mean(x, [2, 3]); // [B, C]
        recordFeatures(features, context);
        const weights = scope.at("linear");
        const std = Math.sqrt(2 / WIDTHS[2]);
        return linear(
          features,
          weights.parameter("weight", [numClasses, WIDTHS[2]], { kind: "normal", std }),
          weights.parameter("bias", [numClasses], ZEROS),
        );
      },
    });
  },
};

/** x: [B, C, H, W] → [B, width, H / stride, W / stride]. */
function block(
  x: Value,
  scope: Scope,
  { width, stride, index }: { width: number; stride: number; index: number },
  context: ForwardContext,
): Value {
  const convNorm = (input: Value, n: 1 | 2, step: number): Value => {
    const y = convolution(input, scope.at(`conv${n}`), { outChannels: width, kernel: 3, stride: step });
    return batchNorm(y, scope.at(`bn${n}`), {}, context);
  };
  return inScope(`blocks.${index}`, () => {
    const y = convNorm(relu(convNorm(x, 1, stride)), 2, 1);
    return relu(add(shortcut(x, width), context.dropPath(y, index)));
  });
}

/**
 * The identity, or (option A) every second pixel with zeros for the new channels, half of them on each side: a convolution
 * without weights of its own, since those run in the layout of their neighbours.
 */
function shortcut(x: Value, width: number): Value {
  const channels = dimAt(x.shape, 1);
  if (channels === width) return x;
  const before = (width - channels) / 2;
  const copies = Float32Array.from({ length: width * channels }, (_, i) =>
    Math.floor(i / channels) === before + (i % channels) ? 1 : 0,
  );
  return conv2d(x, constant(copies, [width, channels, 1, 1]), { stride: 2 });
}
