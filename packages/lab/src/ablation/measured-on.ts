/** The images that a training of an ablation is measured on. */
import { splitsByChance } from "deit-ts/data";
import type { EvaluationDataOptions } from "deit-ts/data";
import type { PlannedRun } from "./plan.ts";

export interface MeasuredOn {
  readonly evaluateOn: EvaluationDataOptions;
  /** The same for the same images. */
  readonly key: string;
}

/** Its validation images, as training finds or splits them. */
export async function measuredOn({ plan: { data } }: PlannedRun): Promise<MeasuredOn> {
  const { dataPath, dataSet, valSplit, seed } = data;
  const isSplit = await splitsByChance(data);
  const { numTrain: _, ...evaluateOn } = data;
  return {
    evaluateOn,
    key: JSON.stringify([dataPath, dataSet, isSplit && [valSplit, seed]]),
  };
}
