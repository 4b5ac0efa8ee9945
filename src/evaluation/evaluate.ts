/** Evaluation of a model on a dataset: top-1, top-5 and loss of every head. */
import type { Loader } from "../data/loader.ts";
import type { CheckpointReport } from "./checkpoint-report.ts";
import type { EvaluateHooks, Evaluator } from "./logits.ts";
import { streamAnswers } from "./logits.ts";
import type { MeasureCheckpointsOptions } from "./measure-checkpoints.ts";
import { measureCheckpoints } from "./measure-checkpoints.ts";
import type { EvaluationMetrics, JointRule } from "./metrics.ts";
import { EvaluationMeter } from "./metrics.ts";

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
  for await (const { logits, labels, size } of streamAnswers(executable, loader)) {
    meter.add(logits, labels);
    done += size;
    onEvent?.({ type: "evaluate", done, total });
    signal?.throwIfAborted();
  }
  return meter.result();
}

export interface EvaluateCheckpointOptions extends Omit<MeasureCheckpointsOptions, "checkpoints"> {
  readonly checkpoint: string;
}

/** What `deit eval` does with one checkpoint: opens it and the images, evaluates, closes. */
export async function evaluateCheckpoint(
  { checkpoint, ...options }: EvaluateCheckpointOptions,
  hooks: EvaluateHooks = {},
): Promise<CheckpointReport> {
  const { models } = await measureCheckpoints({ ...options, checkpoints: [checkpoint] }, hooks);
  const [measured] = models;
  if (measured === undefined) throw new Error("one checkpoint was measured");
  return measured.report;
}
