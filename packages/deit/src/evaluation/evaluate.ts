/** Evaluation of a model on a dataset: top-1, top-5 and loss of every head. */
import type { Loader } from "../data/loading/loader.ts";
import type { EvaluateHooks, Evaluator, ExtraFeeds } from "./logits.ts";
import { streamAnswers } from "./logits.ts";
import type { EvaluationMetrics, JointRule } from "./metrics/metrics.ts";
import { EvaluationMeter } from "./metrics/metrics.ts";
import type { Metrics } from "./own-metrics.ts";
import { AnswerCollector } from "./own-metrics.ts";

/** Runs `executable` (an `evaluationProgram`) over one pass of a loader. */
export async function evaluate(
  {
    executable,
    feeds,
    loader,
    numClasses,
    total,
    joint,
    metrics,
    share,
  }: {
    executable: Evaluator;
    /** What it takes besides images. */
    feeds?: ExtraFeeds | undefined;
    loader: Loader;
    numClasses: number;
    total: number;
    joint?: JointRule;
    /** Measured besides. */
    metrics?: Metrics | undefined;
    /** Of several processes that share the batches: the numbers of each batch in order, given those of one's own. */
    share?: ((own: readonly Float64Array[]) => Promise<readonly Float64Array[]>) | undefined;
  },
  { onEvent, signal }: EvaluateHooks = {},
): Promise<EvaluationMetrics> {
  const meter = new EvaluationMeter({ numClasses, ...(joint && { joint }) });
  const own = metrics && new AnswerCollector(metrics, numClasses);
  // Sums of batches are added up at the end, so that losses do not depend on who has evaluated which batch.
  const parts: Float64Array[] = [];
  let done = 0;
  for await (const { logits, labels, size } of streamAnswers(executable, loader, feeds)) {
    const part = new EvaluationMeter(meter);
    part.add(logits, labels);
    parts.push(part.numbers());
    own?.add(logits, labels);
    done += size;
    onEvent?.({ type: "evaluate", done, total });
    signal?.throwIfAborted();
  }
  meter.replace(share ? await share(parts) : parts);
  return { ...meter.result(), ...(own && { own: own.result() }) };
}
