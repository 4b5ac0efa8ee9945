/** Evaluation of a model on a dataset: top-1, top-5 and loss of every head. */
import type { Loader } from "../data/loader.ts";
import { openEvaluation } from "../data/open.ts";
import type { EvaluationDataOptions } from "../data/open.ts";
import type { AnswerSettings, EvaluateHooks } from "./answers.ts";
import { answerPictures, streamAnswers } from "./answers.ts";
import type { Evaluator } from "./classifier.ts";
import { loadClassifier } from "./classifier.ts";
import { checkClasses } from "./contenders.ts";
import type { EvaluationMetrics, EvaluationReport, JointRule } from "./metrics.ts";
import { EvaluationMeter, evaluationReport } from "./metrics.ts";

export { headLogits } from "./program.ts";
export type { EvaluateEvent, EvaluateHooks } from "./answers.ts";

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

export interface EvaluateCheckpointOptions extends EvaluationDataOptions, AnswerSettings {
  readonly checkpoint: string;
  /** Name of a registered model, for files that do not say what they are. */
  readonly model?: string | undefined;
  readonly inputSize?: number | readonly [number, number] | null;
  readonly evalCropRatio?: number | undefined;
  readonly joint?: JointRule;
}

/** What `deit eval` does: loads a checkpoint, opens pictures, evaluates. */
export async function evaluateCheckpoint(
  options: EvaluateCheckpointOptions,
  hooks: EvaluateHooks = {},
): Promise<EvaluationReport> {
  const { checkpoint, joint } = options;
  const classifier = await loadClassifier(checkpoint, {
    model: options.model,
    inputSize: options.inputSize ?? undefined,
  });
  const { name, classes, numClasses } = classifier;
  for (const message of classifier.notes) hooks.onEvent?.({ type: "warning", message });
  const dataset = await openEvaluation(options, {
    model: { numClasses, classes: options.classes ?? classes },
    onNote: (message) => hooks.onEvent?.({ type: "warning", message }),
  });
  checkClasses(dataset, numClasses, checkpoint);
  const meter = new EvaluationMeter({ numClasses, ...(joint && { joint }) });
  const { seconds } = await answerPictures(
    { ...options, classifier, dataset },
    ({ logits, labels }) => meter.add(logits, labels),
    hooks,
  );
  return evaluationReport({ model: name, metrics: meter.result(), seconds });
}
