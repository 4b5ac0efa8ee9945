/** Evaluation of a model on a dataset: top-1, top-5 and loss of every head. */
import type { Dataset } from "../data/dataset.ts";
import type { Batch, Loader } from "../data/loader.ts";
import { createLoader } from "../data/loader.ts";
import { openEvaluation } from "../data/open.ts";
import type { EvaluationDataOptions } from "../data/open.ts";
import { createPlan } from "../data/plan.ts";
import { workersFor } from "../data/workers.ts";
import { ConfigError } from "../errors.ts";
import { createRuntime } from "../runtime/node.ts";
import type { DeviceName } from "../runtime/runtime.ts";
import type { Evaluator } from "./classifier.ts";
import { loadClassifier, loadEvaluator } from "./classifier.ts";
import type { EvaluationMetrics, EvaluationReport, HeadLogits, JointRule } from "./metrics.ts";
import { EvaluationMeter, evaluationReport } from "./metrics.ts";
import { tellWarnings } from "./warnings.ts";

export type EvaluateEvent =
  | { readonly type: "evaluate"; readonly done: number; readonly total: number }
  | { readonly type: "warning"; readonly message: string };

export interface EvaluateHooks {
  readonly onEvent?: ((event: EvaluateEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs `executable` (an `evaluationProgram`) over one pass of a loader. */
export async function evaluate(
  {
    executable,
    loader,
    numClasses,
    total,
    joint,
  }: {
    executable: Evaluator;
    loader: Loader;
    numClasses: number;
    total: number;
    joint?: JointRule;
  },
  { onEvent, signal }: EvaluateHooks = {},
): Promise<EvaluationMetrics> {
  const meter = new EvaluationMeter({ numClasses, ...(joint && { joint }) });
  let done = 0;
  // A batch is handed over while the one before it is computed: the device does not wait for copies.
  let running: { batch: Batch; outputs: ReturnType<Evaluator["run"]> } | undefined;
  const finish = async (): Promise<void> => {
    if (running === undefined) return;
    const { batch, outputs } = running;
    meter.add(headLogits(await outputs), batch.labels);
    done += batch.size;
    onEvent?.({ type: "evaluate", done, total });
    signal?.throwIfAborted();
  };
  for await (const batch of loader.epoch(0)) {
    const outputs = executable.run({ images: batch.images });
    outputs.catch(() => {}); // it is awaited after the one before, whose error comes first
    await finish();
    running = { batch, outputs };
  }
  await finish();
  return meter.result();
}

/** The results of a run of `evaluationProgram`. */
export function headLogits(outputs: Readonly<Record<string, unknown>>): HeadLogits {
  const { class: classLogits, ...others } = outputs;
  if (!(classLogits instanceof Float32Array)) throw new TypeError("a program returned no float32 logits");
  const found = Object.entries(others).filter(([, data]) => data instanceof Float32Array);
  return { class: classLogits, ...Object.fromEntries(found) };
}

export interface EvaluateCheckpointOptions extends EvaluationDataOptions {
  readonly checkpoint: string;
  /** Name of a registered model, for files that do not say what they are. */
  readonly model?: string | undefined;
  readonly inputSize?: number | readonly [number, number] | null;
  readonly batchSize?: number;
  readonly evalCropRatio?: number;
  readonly joint?: JointRule;
  readonly device?: DeviceName | "auto";
  readonly threads?: number | null;
  readonly workers?: number | null;
}

/** What `deit eval` does: loads a checkpoint, opens pictures, evaluates. */
export async function evaluateCheckpoint(
  options: EvaluateCheckpointOptions,
  hooks: EvaluateHooks = {},
): Promise<EvaluationReport> {
  const {
    checkpoint,
    batchSize = 32,
    joint,
    device = "auto",
    threads,
    workers,
    onEvent,
  } = { ...options, ...hooks };
  const classifier = await loadClassifier(checkpoint, {
    model: options.model,
    inputSize: options.inputSize ?? undefined,
  });
  const { name, classes, numClasses, inputSize, cropRatio } = classifier;
  for (const message of classifier.notes) onEvent?.({ type: "warning", message });
  const dataset = await openEvaluation({ ...options, classes: options.classes ?? classes });
  checkClasses(dataset, numClasses, checkpoint);
  const loader = createLoader({
    dataset,
    transform: { mode: "evaluation", size: inputSize, cropRatio: options.evalCropRatio ?? cropRatio },
    plan: createPlan({ mode: "evaluation", length: dataset.length, batchSize }),
    workers: workersFor(dataset, workers),
  });
  const runtime = await createRuntime({ device, ...(threads && { threads }) });
  try {
    const executable = await loadEvaluator(runtime, classifier, { batchSize });
    const start = performance.now();
    const metrics = await evaluate(
      { executable, loader, numClasses, total: dataset.length, ...(joint && { joint }) },
      hooks,
    );
    tellWarnings([loader], (message) => onEvent?.({ type: "warning", message }))();
    return evaluationReport({ model: name, metrics, seconds: (performance.now() - start) / 1000 });
  } finally {
    await Promise.all([loader.close(), runtime.close()]);
  }
}

/** @throws ConfigError when pictures carry labels that the model does not know */
function checkClasses(dataset: Dataset, numClasses: number, checkpoint: string): void {
  const largest = dataset.labels.reduce((most, label) => Math.max(most, label), -1);
  if (largest < numClasses) return;
  throw new ConfigError(
    "dataPath",
    `${dataset.name} has class ${largest}, but ${checkpoint} knows ${numClasses} classes`,
    {
      hint: "Evaluate on the classes that the model was trained for.",
    },
  );
}
