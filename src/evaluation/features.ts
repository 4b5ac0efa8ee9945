/**
 * Frozen features: what a transformer's heads see of a picture. The class token after the final norm; of a distilled model
 * class and distillation token one after the other, as its two heads read one each.
 */
import type { Dataset } from "../data/dataset.ts";
import { createLoader } from "../data/loader.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";
import { ConfigError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { reshape, transpose } from "../graph/ops.ts";
import { compile } from "../graph/program.ts";
import type { Program } from "../graph/program.ts";
import { evaluationContext } from "../nn/context.ts";
import { bindParameters, packTensors } from "../nn/layout.ts";
import { modelLayout } from "../optim/groups.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { EvaluateHooks } from "./answers.ts";
import type { LoadedModel } from "./load-model.ts";
import type { ProgramOptions } from "./program.ts";
import { imagesInput, normalise } from "./program.ts";
import { tellWarnings } from "./warnings.ts";

/** n pictures: row i of `data` [n, width], row-major, belongs to label i. */
export interface Features {
  readonly data: Float32Array;
  readonly width: number;
  readonly labels: Int32Array;
}

/** Output `features` [B, width]. @throws ConfigError for a convnet */
function featuresProgram({ model, layout, batchSize, target, normalisation }: ProgramOptions): Program {
  const { transformer } = model;
  if (transformer === undefined) {
    throw new ConfigError(
      "model",
      `${model.name} is a convnet: it has no class token to take features from`,
      {
        hint: "Give a DeiT or another vision transformer.",
      },
    );
  }
  const { weights, scope } = bindParameters(layout);
  let tokens: Value | undefined;
  model.forward(normalise(imagesInput({ model, batchSize }), normalisation), scope, {
    ...evaluationContext(),
    record: (name, value) => {
      if (name === "tokens") tokens = value;
    },
  });
  if (tokens === undefined) throw new Error(`${model.name} records no tokens`);
  const width = transformer.embedDim * (transformer.distilled ? 2 : 1);
  const features = reshape(transpose(tokens, [1, 0, 2]), [batchSize, width]);
  const state = Object.fromEntries(Object.keys(weights).map((name) => [`W.${name}`, null]));
  return compile({ name: `${model.name}.features`, target, outputs: { features }, state });
}

/** Features of every picture that can be read, prepared as evaluation does. */
export async function extractFeatures(
  runtime: Runtime,
  loaded: LoadedModel,
  dataset: Dataset,
  {
    batchSize = 16,
    cropRatio = loaded.cropRatio,
    onEvent,
    signal,
  }: EvaluateHooks & {
    batchSize?: number;
    cropRatio?: number | undefined;
  } = {},
): Promise<Features> {
  const { model, tensors, normalisation } = loaded;
  const layout = modelLayout(model);
  for (const [vector, data] of Object.entries(packTensors(layout, tensors)))
    await runtime.setState(`W.${vector}`, data);
  const { target } = runtime;
  const executable = await runtime.load(featuresProgram({ model, layout, batchSize, target, normalisation }));
  const loader = createLoader({
    dataset,
    transform: { mode: "evaluation", size: model.config.inputSize, cropRatio },
    plan: createPlan({ mode: "evaluation", length: dataset.length, batchSize }),
    workers: workersFor(dataset, null),
  });
  const rows: Float32Array[] = [];
  const labels: number[] = [];
  let width = 0;
  try {
    for await (const batch of loader.epoch(0)) {
      const { features } = await executable.run({ images: batch.images });
      if (!(features instanceof Float32Array)) throw new TypeError("a program returned no float32 features");
      width = features.length / batchSize;
      for (const [row, label] of batch.labels.entries()) {
        if (label < 0) continue; // padding, or a picture that cannot be read
        rows.push(features.slice(row * width, (row + 1) * width));
        labels.push(label);
      }
      onEvent?.({ type: "evaluate", done: labels.length, total: dataset.length });
      signal?.throwIfAborted();
    }
    tellWarnings([loader], (message) => onEvent?.({ type: "warning", message }))();
  } finally {
    await loader.close();
  }
  const data = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) data.set(row, i * width);
  return { data, width, labels: Int32Array.from(labels) };
}
