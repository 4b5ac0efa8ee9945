/** The recorded optimizer runs, and the same by our optimizers over the flat vectors of a layout. */
import { readFileSync } from "node:fs";
import { input } from "../../src/graph/graph.ts";
import type { Value } from "../../src/graph/graph.ts";
import { reshape, split } from "../../src/graph/ops.ts";
import { compile } from "../../src/graph/program.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import type { Layout, Tensors } from "../../src/nn/parameters.ts";
import {
  createLayout,
  decayGroups,
  packTensors,
  unpackTensors,
  zeroVectors,
} from "../../src/nn/parameters.ts";
import type { Optimizer } from "../../src/optim/optimizer.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { PackedTensor } from "../helpers/seeded.ts";
import { seededParameter, seededTensor } from "../helpers/seeded.ts";

type Packed = Readonly<Record<string, PackedTensor>>;

/** Parameters after some steps, and the optimizer's moments after the last. */
export interface RecordedRun {
  readonly parameters: Readonly<Record<string, Packed>>;
  readonly moments: Readonly<Record<string, Packed>>;
}

interface Recording extends Record<"adamw" | "sgd" | "sgdNesterov", RecordedRun> {
  readonly dim: number;
  readonly weightDecay: number;
  readonly learningRates: readonly number[];
  readonly tensors: Readonly<
    Record<string, { shape: readonly number[]; decay: boolean; gradientScale: number }>
  >;
  readonly clipping: Readonly<
    Record<string, { maxNorm: number; factor: number; norm: number; clipped: Packed }>
  >;
}

const file = new URL("../golden/adamw/optimizers.json", import.meta.url);
export const recorded: Recording = JSON.parse(readFileSync(file, "utf8"));

export const layout: Layout = createLayout(
  Object.entries(recorded.tensors).map(([name, { shape }]) => ({
    name,
    shape,
    initializer: { kind: "zeros" as const },
  })),
  { groupOf: decayGroups(["pos_embed", "cls_token"]) },
);

function tensorsOf(draw: (name: string, shape: readonly number[]) => Float32Array): Tensors {
  return new Map(
    Object.entries(recorded.tensors).map(([name, { shape }]) => [name, { shape, data: draw(name, shape) }]),
  );
}

/** The gradients of step 0, 1, …, by vector. */
export function gradientsOf(step: number): Record<string, Float32Array> {
  const draw = (name: string, shape: readonly number[]): Float32Array =>
    seededTensor(`${name}.grad.${step}`, sizeOf(shape), {
      offset: 0,
      scale: recorded.tensors[name]?.gradientScale ?? Number.NaN,
    });
  return packTensors(layout, tensorsOf(draw));
}

/** State vectors after every step of the recorded run: `W` and the optimizer's slots, unpacked, by slot. */
export async function runSteps(runtime: Runtime, optimizer: Optimizer): Promise<Record<string, Tensors>[]> {
  const slots = ["W", ...optimizer.slots];
  const state: Record<string, Value> = {};
  for (const parameters of layout.vectors) {
    const { name, length, group } = parameters;
    const vector = (kind: string): Value => input(`${kind}.${name}`, "float32", [length]);
    const count = optimizer.hyper(1, 0, group).length;
    const hyper = input(`hyper.${name}`, "float32", [count]);
    const { weight, slots: next } = optimizer.update({
      weight: vector("W"),
      grad: vector("grad"),
      slots: optimizer.slots.map(vector),
      hyper: split(
        hyper,
        Array.from({ length: count }, () => 1),
        0,
      ).map((x) => reshape(x, [])),
      vector: parameters,
    });
    for (const [i, value] of [weight, ...next].entries()) state[`${slots[i]}.${name}`] = value;
  }
  const executable = await runtime.load(
    compile({ name: optimizer.name, target: runtime.target, outputs: {}, state }),
  );
  const start = packTensors(
    layout,
    tensorsOf((name, shape) => seededParameter(name, shape, recorded.dim)),
  );
  for (const slot of slots) {
    for (const [name, data] of Object.entries(slot === "W" ? start : zeroVectors(layout)))
      await runtime.setState(`${slot}.${name}`, data);
  }
  const states: Record<string, Tensors>[] = [];
  for (const [step, lr] of recorded.learningRates.entries()) {
    const grads = Object.entries(gradientsOf(step)).map(([name, data]) => [`grad.${name}`, data]);
    const hyper = layout.vectors.map(({ name, group }) => [
      `hyper.${name}`,
      Float32Array.from(optimizer.hyper(step + 1, lr, group)),
    ]);
    await executable.run(Object.fromEntries([...grads, ...hyper]));
    const now: Record<string, Tensors> = {};
    for (const slot of slots) {
      const vectors: Record<string, Float32Array> = {};
      for (const { name } of layout.vectors) vectors[name] = await runtime.getState(`${slot}.${name}`);
      now[slot] = unpackTensors(layout, vectors);
    }
    states.push(now);
  }
  await executable.release();
  return states;
}
