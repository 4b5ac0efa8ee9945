/** Images to patch tokens (§3): a convolution whose kernel is its stride, so a reshape and a matrix product. */
import { ConfigError } from "../errors.ts";
import { inScope } from "../graph/graph.ts";
import type { Value } from "../graph/graph.ts";
import { linear, reshape, transpose } from "../graph/ops.ts";
import { sizeOf } from "../graph/shape.ts";
import type { Initializer, Scope } from "../nn/parameters.ts";

export interface PatchEmbedOptions {
  readonly patchSize: number;
  readonly embedDim: number;
}

/**
 * images: [B, C, H, W], normalised → [(H/p)·(W/p), B, embedDim], tokens first, patches in row-major order.
 * Initialised as PyTorch's Conv2d, which the reference leaves alone: uniform within ±1/√fan_in.
 */
export function patchEmbed(images: Value, scope: Scope, { patchSize, embedDim }: PatchEmbedOptions): Value {
  const [batch = 1, channels = 3, height = 1, width = 1] = images.shape;
  const [rows, columns] = patchGrid([height, width], patchSize);
  const kernel = [channels, patchSize, patchSize];
  const initializer: Initializer = { kind: "uniform", bound: sizeOf(kernel) ** -0.5 };
  const weight = scope.parameter("proj.weight", [embedDim, ...kernel], initializer);
  const bias = scope.parameter("proj.bias", [embedDim], initializer);
  return inScope("patch_embed", () => {
    const grid = reshape(images, [batch, channels, rows, patchSize, columns, patchSize]);
    const patches = reshape(transpose(grid, [2, 4, 0, 1, 3, 5]), [rows * columns, batch, sizeOf(kernel)]);
    return linear(patches, reshape(weight, [embedDim, sizeOf(kernel)]), bias);
  });
}

/** Patches along [height, width]. @throws ConfigError when the patch does not divide the image. */
export function patchGrid(
  [height, width]: readonly [number, number],
  patchSize: number,
): readonly [number, number] {
  if (height % patchSize !== 0 || width % patchSize !== 0) {
    const near = (size: number): number => Math.max(patchSize, Math.round(size / patchSize) * patchSize);
    throw new ConfigError(
      "inputSize",
      `input size ${height}×${width} is not a multiple of the patch size ${patchSize}`,
      {
        code: "model/input-size",
        hint: `Use --input-size ${near(height)}${near(height) === near(width) ? "" : ` or ${near(width)}`}.`,
      },
    );
  }
  return [height / patchSize, width / patchSize];
}
