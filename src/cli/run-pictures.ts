/** The pictures that a command measures with: those of a run, while no others are named. */
import { resolve } from "node:path";
import type { TrainOptions } from "../config/schema.ts";

type Inherited = Partial<Pick<TrainOptions, "evalCropRatio" | "dataPath" | "dataSet" | "valSplit" | "seed">>;

/** What a run says of its evaluation; its pictures and their split only while no others are named. */
export function inherited(run: TrainOptions | undefined, given: Partial<TrainOptions>): Inherited {
  if (run === undefined) return {};
  const { evalCropRatio, dataPath, dataSet, valSplit, seed } = run;
  const others =
    (given.dataSet !== undefined && given.dataSet !== dataSet) ||
    (given.dataPath !== undefined && resolve(given.dataPath ?? "") !== resolve(dataPath ?? ""));
  return others ? { evalCropRatio } : { evalCropRatio, dataPath, dataSet, valSplit, seed };
}
