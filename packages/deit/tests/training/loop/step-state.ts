/** State and feeds of a step, by vector. */
import { input } from "../../../src/graph/graph.ts";
import type { Model } from "../../../src/models/registry.ts";
import type { Layout } from "../../../src/nn/parameters.ts";
import { createLayout, decayGroups } from "../../../src/nn/parameters.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import type { TrainingOptions } from "../../../src/training/loop/training-programs.ts";

export const NORMALISATION = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

export function layoutOf(model: Model, maxLength?: number): Layout {
  return createLayout(model.parameters, {
    groupOf: decayGroups(model.noWeightDecay),
    ...(maxLength !== undefined && { maxLength }),
  });
}

export async function setVectors(
  runtime: Runtime,
  kind: string,
  vectors: Readonly<Record<string, Float32Array>>,
): Promise<void> {
  for (const [name, data] of Object.entries(vectors)) await runtime.setState(`${kind}.${name}`, data);
}

export async function getVectors(
  runtime: Runtime,
  kind: string,
  { vectors }: Layout,
): Promise<Record<string, Float32Array>> {
  const result: Record<string, Float32Array> = {};
  for (const { name } of vectors) result[name] = await runtime.getState(`${kind}.${name}`);
  return result;
}

/** `hyper.<vector>` of a step, counted from 1. */
export function hyperOf(
  layout: Layout,
  { optimizer }: TrainingOptions,
  step: number,
  lr: number,
): Record<string, Float32Array> {
  return Object.fromEntries(
    layout.vectors.map(({ name, group }) => [
      `hyper.${name}`,
      Float32Array.from(optimizer.hyper(step, lr, group)),
    ]),
  );
}

/** The model, on an input of images that are normalised already. */
export function onNormalised(model: Model, batchSize: number): Model {
  const images = input("normalised", "float32", [batchSize, 3, ...model.config.inputSize]);
  return { ...model, forward: (_, scope, context) => model.forward(images, scope, context) };
}
