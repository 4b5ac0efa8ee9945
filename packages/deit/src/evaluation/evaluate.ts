/** Evaluation of a model on a dataset: top-1, top-5 and loss of every head. */
import type { Loader } from "../data/loader.ts";
import type { EvaluateHooks, Evaluator } from "./logits.ts";
import { streamAnswers } from "./logits.ts";
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
