/**
 * Which epoch a run is judged by, and how sure its figures are. Of few held-out images the best of many epochs is mostly
 * luck: the last epoch is taken, which no image has chosen (docs/decisions/0018).
 */
import type { Selection, ShareReport } from "../../evaluation/metrics/share.ts";
import { FEW_IMAGES, shareOf, shareReport } from "../../evaluation/metrics/share.ts";
import type { WeightsKind } from "../loop/run-progress.ts";
import { isBetter } from "../loop/run-progress.ts";
import type { EpochRecord } from "./run-log.ts";

/** The epoch of best.safetensors: the one with the highest top-1 in validation, or the last. */
export type SelectionRule = Selection["rule"];

/** What --select-epoch comes to; `heldOut`: images that the run does not train on. */
export function selectionRule(
  { selectEpoch, patience }: { selectEpoch: "auto" | SelectionRule; patience: number | null },
  heldOut: number,
): SelectionRule {
  if (selectEpoch !== "auto") return selectEpoch;
  return heldOut >= FEW_IMAGES || patience !== null ? "best" : "last";
}

export interface EpochResult extends ShareReport {
  readonly epoch: number;
  /** Percent. */
  readonly acc1: number;
  readonly acc5: number;
  /** Of a student of embeddings: cosine of its projection and the teacher's embedding, mean over the images. */
  readonly teacherSimilarity?: number;
  /** The trained weights or their average (EMA): those that best.safetensors holds. */
  readonly weights: WeightsKind;
}

/**
 * The epochs that a run is judged by, from its log: of each the better of the trained and the averaged weights.
 * `images`: where the log does not say how many were measured; those that cannot be read are not.
 */
export function epochResults(
  log: readonly EpochRecord[],
  { rule, images }: { rule: SelectionRule; images: number },
): { best: EpochResult; last: EpochResult } {
  let best: { result: EpochResult; acc1: number; loss: number } | undefined;
  const none = { epoch: log.length - 1, acc1: 0, acc5: 0, weights: "trained" } as const;
  let last: EpochResult = { ...none, ...shareReport({ correct: 0, images }) };
  for (const record of log) {
    const { epoch, test_acc1: trained, test_acc5: acc5 = 0, test_loss: loss = NaN } = record;
    const { test_images: measured = images } = record;
    if (trained === undefined) continue;
    const { test_ema_acc1: averaged, test_ema_acc5: averaged5, test_ema_loss: averagedLoss } = record;
    const found =
      typeof averaged === "number" && averaged > trained
        ? ({
            acc1: averaged,
            acc5: Number(averaged5),
            loss: Number(averagedLoss),
            weights: "averaged",
          } as const)
        : ({ acc1: trained, acc5, loss, weights: "trained" } as const);
    const { loss: _, ...figures } = found;
    const key = found.weights === "averaged" ? "test_ema_teacher_similarity" : "test_teacher_similarity";
    const similarity = record[key];
    last = {
      epoch,
      ...figures,
      ...(typeof similarity === "number" && { teacherSimilarity: similarity }),
      ...shareReport(shareOf(found.acc1, measured)),
    };
    if (rule === "last" || isBetter(found, best)) best = { result: last, acc1: found.acc1, loss: found.loss };
  }
  return { best: best?.result ?? last, last };
}

/** How the weights of best.safetensors were chosen, from the log of their run. */
export function selectionOf(
  log: readonly EpochRecord[],
  { rule, heldOut }: { rule: SelectionRule; heldOut: number },
): Selection {
  const validated = log.filter(({ test_acc1: acc1 }) => acc1 !== undefined);
  return { rule, heldOut, epochs: validated.length };
}
