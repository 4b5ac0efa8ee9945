/**
 * Batches through a program, as a stream: images and logits pass through, and whoever reads the stream keeps a few numbers
 * of each image, so that a dataset of any size fits.
 */
import type { Batch, Loader } from "../data/loading/loader.ts";
import { reorderClasses } from "../models/match-classes.ts";
import type { DeviceName, Executable, TensorData } from "../runtime/runtime.ts";
import type { HeadLogits } from "./metrics/metrics.ts";
import { headLogits } from "./evaluation-program.ts";

/** Images [B, 3, H, W] of 0 to 255 in, the outputs of a program out. */
export type Evaluator = Pick<Executable, "run">;

/** Which images of a dataset are in a batch. Rows with label -1 are padding, or images that cannot be read. */
export type BatchRows = Pick<Batch, "size" | "labels" | "samples">;

/** What a program takes besides a batch's images. */
export type ExtraFeeds = (
  batch: Pick<Batch, "images" | "samples">,
) => Promise<Readonly<Record<string, TensorData>>>;

/** A batch and the outputs of a program. */
export interface OutputBatch extends BatchRows {
  readonly outputs: Readonly<Record<string, TensorData>>;
}

/** A batch of images and the logits of every head. */
export interface AnsweredBatch extends BatchRows {
  readonly logits: HeadLogits;
}

export type EvaluateEvent =
  | { readonly type: "evaluate"; readonly done: number; readonly total: number }
  | { readonly type: "warning"; readonly message: string };

export interface EvaluateHooks {
  readonly onEvent?: ((event: EvaluateEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where and how fast to compute. */
export interface AnswerSettings {
  readonly batchSize?: number | undefined;
  readonly device?: DeviceName | "auto" | undefined;
  readonly threads?: number | null | undefined;
  readonly workers?: number | null | undefined;
}

/** Batches through a program. One is handed over while the one before it is computed: the device does not wait for copies. */
export async function* streamOutputs(
  executable: Evaluator,
  batches: AsyncIterable<BatchRows & Pick<Batch, "images">>,
  feeds?: ExtraFeeds,
): AsyncGenerator<OutputBatch> {
  let running: { rows: BatchRows; outputs: ReturnType<Evaluator["run"]> } | undefined;
  const finish = async ({ rows, outputs }: NonNullable<typeof running>): Promise<OutputBatch> => ({
    ...rows,
    outputs: await outputs,
  });
  for await (const { size, labels, samples, images } of batches) {
    const outputs = executable.run({ images, ...(await feeds?.({ images, samples })) });
    outputs.catch(() => {}); // it is awaited after the one before, whose error comes first
    const before = running;
    running = { rows: { size, labels, samples }, outputs };
    if (before !== undefined) yield finish(before);
  }
  if (running !== undefined) yield finish(running);
}

/** One pass of a loader through an evaluation program. */
export async function* streamAnswers(
  executable: Evaluator,
  loader: Loader,
  feeds?: ExtraFeeds,
): AsyncGenerator<AnsweredBatch> {
  for await (const { outputs, ...rows } of streamOutputs(executable, loader.epoch(0), feeds))
    yield { ...rows, logits: headLogits(outputs) };
}

/** Logits in another order of the classes: `order` holds the old index of each new class. */
export function inOrder(logits: HeadLogits, columns: { order: Int32Array; numClasses: number }): HeadLogits {
  return {
    ...logits,
    class: reorderClasses(logits.class, columns),
    ...(logits.distillation && { distillation: reorderClasses(logits.distillation, columns) }),
  };
}

/** Images named in warnings; a large dataset may have thousands that are broken. */
const NAMED = 20;

/** A function that passes on what loaders have met since it was last called: the first images by name, then how many more. */
export function tellWarnings(
  loaders: readonly Pick<Loader, "warnings">[],
  onWarning: (message: string) => void,
): () => void {
  const told = loaders.map(() => 0);
  return () => {
    for (const [i, { warnings }] of loaders.entries()) {
      const before = told[i] ?? 0;
      for (const message of warnings.slice(before, NAMED)) onWarning(message);
      const more = warnings.length - Math.max(before, NAMED);
      if (more > 0) onWarning(`${more} more images cannot be read, ${warnings.length} so far`);
      told[i] = warnings.length;
    }
  };
}
