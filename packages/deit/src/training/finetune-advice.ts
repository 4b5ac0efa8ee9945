/**
 * Which of the released weights a fine-tuning would best start from in the time that it is given, by their published
 * accuracy and by what their models cost. Pure: the same images, cores and minutes give the same advice.
 */
import { fittingSize, trainingRate } from "../config/finetune-defaults.ts";
import type { PretrainedWeights } from "../models/pretrained.ts";
import { PRETRAINED } from "../models/pretrained.ts";
import { TRANSFORMERS } from "../models/transformers.ts";
import { macs } from "../models/vision-transformer.ts";

/** Fewer passes over the images teach a new head little more than where to begin. */
const LEAST_EPOCHS = 5;

/** DeiT III's L and H, with 24 and 32 blocks, do not fit into the memory of most machines when they train. */
const DEEPEST = 12;

export interface AdviceFacts {
  /** Training images. */
  readonly images: number;
  /** Median of their shorter sides, in pixels. */
  readonly medianSize: number;
  readonly cores: number;
  readonly minutes: number;
}

export interface Advice {
  readonly weights: PretrainedWeights;
  /** [height, width] in pixels. */
  readonly inputSize: readonly [number, number];
  /** How many passes over the images the time is for. */
  readonly epochs: number;
}

/**
 * The weights of the highest published top-1 whose model can see all images five times in that time; the cheapest where
 * none can. Classifiers are compared: DINOv2's figures are of another classifier than the one that a fine-tuning trains.
 */
export function adviseFinetune({ images, medianSize, cores, minutes }: AdviceFacts): Advice {
  const priced = PRETRAINED.filter(({ role }) => role === undefined).flatMap((weights) => {
    const family = TRANSFORMERS.find(({ names }) => names.includes(weights.model));
    if (family === undefined) return [];
    const { patchSize, depth } = family.config(weights.model, {});
    if (depth > DEEPEST) return [];
    const own = [weights.inputSize, weights.inputSize] as const;
    const inputSize = fittingSize(own, { medianSize, patchSize });
    const cost = macs(family.config(weights.model, { inputSize }));
    const epochs = Math.floor((60 * minutes * trainingRate(cost, cores)) / Math.max(1, images));
    return [{ weights, inputSize, cost, epochs }];
  });
  const affordable = priced.filter(({ epochs }) => epochs >= LEAST_EPOCHS);
  const [best] =
    affordable.length > 0
      ? affordable.toSorted((a, b) => b.weights.acc1 - a.weights.acc1)
      : priced.toSorted((a, b) => a.cost - b.cost);
  if (best === undefined) throw new Error("there are no released weights");
  const { weights, inputSize, epochs } = best;
  return { weights, inputSize, epochs };
}

/** The advice in a line, with the figure that it rests on and who published it. */
export function describeAdvice(
  { weights, inputSize, epochs }: Advice,
  { minutes, cores, isTaken }: { minutes: number; cores: number; isTaken: boolean },
): string {
  const { name, acc1, inputSize: measured, source } = weights;
  const figure = `top-1 ${acc1.toFixed(1)} % on ImageNet at ${measured} pixels (${source})`;
  const time = `${minutes} ${minutes === 1 ? "minute" : "minutes"} on ${cores} ${cores === 1 ? "core" : "cores"}`;
  const passes = epochs < 1 ? "less than an epoch" : `about ${epochs} ${epochs === 1 ? "epoch" : "epochs"}`;
  const what = `of the released weights ${name} fits ${time} best: ${figure}; ${passes} at ${inputSize.join(" × ")} pixels`;
  return isTaken ? what : `${what}. --finetune ${name} takes it`;
}
