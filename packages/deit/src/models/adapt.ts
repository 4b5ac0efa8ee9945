/**
 * A checkpoint's tensors as another model's parameters: position embeddings at another resolution, a plain transformer's
 * tokens and head for a distilled one and back. Says what would be done from shapes alone; reads nothing.
 */
import { sameShape } from "../graph/shape.ts";
import type { ParameterSpec } from "../nn/parameters.ts";
import type { Model } from "./model.ts";
import { patchGrid } from "./patch-embed.ts";
import { interpolatePositions } from "./positions.ts";
import { prefixTokens } from "./vision-transformer.ts";

/** Names and shapes of a checkpoint. */
export type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** How a parameter comes from a tensor of the checkpoint. */
export interface Adaptation {
  /** The tensor's name. */
  readonly source: string;
  /** What is done to it, for the user; undefined when it is taken as it is. */
  readonly note?: string;
  convert(data: Float32Array): Float32Array;
}

const asItIs = (data: Float32Array): Float32Array => data;

/** What a distilled model's own tensors start from where a checkpoint has none: the class token and its head. */
const TWIN: Readonly<Record<string, string>> = {
  dist_token: "cls_token",
  "head_dist.weight": "head.weight",
  "head_dist.bias": "head.bias",
};

/** How `parameter` of `model` comes from a checkpoint; undefined where it has to start fresh. */
export function adaptation(
  { name, shape }: Pick<ParameterSpec, "name" | "shape">,
  { model, from, grid }: { model: Model; from: Shapes; grid?: readonly [number, number] | undefined },
): Adaptation | undefined {
  const there = from.get(name)?.shape;
  if (name === "pos_embed" && there !== undefined) {
    const isSame = sameShape(there, shape);
    return !isSame || isOtherGrid(model, grid) || prefixOf(from, there, grid) !== wantedPrefix(model)
      ? positions({ model, from, grid }, there)
      : { source: name, convert: asItIs, ...takenAs({ model, grid }) };
  }
  if (there !== undefined && sameShape(there, shape)) return { source: name, convert: asItIs };
  const twin = there === undefined ? TWIN[name] : undefined;
  const twinShape = twin === undefined ? undefined : from.get(twin)?.shape;
  if (twin === undefined || twinShape === undefined || !sameShape(twinShape, shape)) return undefined;
  return { source: twin, note: `${name} starts as a copy of ${twin}`, convert: asItIs };
}

/** As many patches, in other rows and columns: 4 × 4 and 2 × 8. */
function isOtherGrid({ transformer }: Model, grid: readonly [number, number] | undefined): boolean {
  if (transformer === undefined || grid === undefined) return false;
  return grid.join() !== patchGrid(transformer.inputSize, transformer.patchSize).join();
}

/** Says that patches which may be a square are taken for something else, where the weights do not tell. */
function takenAs({
  model: { transformer },
  grid,
}: {
  model: Model;
  grid: readonly [number, number] | undefined;
}): { note?: string } {
  if (transformer === undefined || grid !== undefined) return {};
  const [rows, columns] = patchGrid(transformer.inputSize, transformer.patchSize);
  if (rows === columns || squareGrid(rows * columns) === undefined) return {};
  return {
    note: `pos_embed's ${rows * columns} patches are arranged as ${rows} × ${columns}, to match the input size`,
  };
}

/** Rows of a checkpoint's position embeddings before those of the patches. */
function prefixOf(
  from: Shapes,
  [, tokens = 0]: readonly number[],
  grid: readonly [number, number] | undefined,
): number {
  const registers = from.get("reg_token")?.shape[1] ?? 0;
  const all = registers + (from.has("dist_token") ? 2 : 1);
  if (registers === 0 && !from.has("blocks.0.ls1.gamma")) return all;
  if (grid !== undefined && grid[0] * grid[1] === tokens) return 0;
  if (grid !== undefined && grid[0] * grid[1] === tokens - all) return all;
  return squareGrid(tokens - all) === undefined ? 0 : all;
}

function wantedPrefix({ transformer }: Model): number {
  return transformer === undefined || transformer.patchPositions ? 0 : prefixTokens(transformer);
}

/** Rows of class and distillation token, where they have positions, then one a patch. */
function positions(
  { model, from, grid }: { model: Model; from: Shapes; grid?: readonly [number, number] | undefined },
  there: readonly number[],
): Adaptation | undefined {
  const config = model.transformer;
  const width = config?.embedDim;
  if (config === undefined || width === undefined || there.length !== 3 || there[2] !== width)
    return undefined;
  const prefix = prefixOf(from, there, grid);
  const patches = (there[1] ?? 0) - prefix;
  const old = grid !== undefined && grid[0] * grid[1] === patches ? grid : squareGrid(patches);
  if (old === undefined) return undefined;
  const to = patchGrid(config.inputSize, config.patchSize);
  const wanted = wantedPrefix(model);
  const notes = [
    ...(old.join() === to.join()
      ? []
      : [`pos_embed is interpolated from ${old.join(" × ")} to ${to.join(" × ")} patches`]),
    ...(prefix === wanted ? [] : [prefixNote(prefix, wanted)]),
  ];
  return {
    source: "pos_embed",
    ...(notes.length > 0 && { note: notes.join("; ") }),
    convert: (data) => {
      const patchRows = interpolatePositions(data, {
        prefix,
        from: old,
        to,
        antialias: config.resampling === "antialias",
      });
      if (prefix === wanted) return patchRows;
      const cls = prefix === 0 ? new Float32Array(width) : patchRows.subarray(0, width);
      const rest = patchRows.subarray(prefix * width);
      const result = new Float32Array((wanted + to[0] * to[1]) * width);
      for (let row = 0; row < wanted; row++) result.set(cls, row * width);
      result.set(rest, wanted * width);
      return result;
    },
  };
}

function prefixNote(prefix: number, wanted: number): string {
  if (wanted < prefix)
    return wanted === 0
      ? "positions of tokens that are not patches are left out"
      : "the distillation token's position is left out";
  return prefix === 0
    ? "positions of tokens that are not patches start at 0"
    : "the distillation token's position starts as a copy of the class token's";
}

function squareGrid(patches: number): [number, number] | undefined {
  const side = Math.sqrt(patches);
  return Number.isInteger(side) && side > 0 ? [side, side] : undefined;
}

/** Rows and columns of the patches that an image size stands for. */
export function gridOf(
  inputSize: readonly [number, number] | undefined,
  { transformer }: Pick<Model, "transformer">,
): readonly [number, number] | undefined {
  if (inputSize === undefined || transformer === undefined) return undefined;
  const { patchSize } = transformer;
  return [inputSize[0] / patchSize, inputSize[1] / patchSize];
}
