/**
 * Every option of training, once: name, type, default, words. Flags, help, config files, JSON Schema and the
 * library's types all come from here. Names and defaults are the reference's where it has the option
 * (DeiT's `main.py`). Options of the reference that this version lacks are in unsupported-options.ts.
 */
import { z } from "zod";
import { IMAGE_OPTIONS } from "./image-options.ts";
import { TRAINING_OPTIONS } from "./training-options.ts";
import { AUGMENTATION_OPTIONS } from "./augmentation-options.ts";
import { DISTILLATION_OPTIONS } from "./distillation-options.ts";
import { MACHINE_OPTIONS } from "./machine-options.ts";

export const trainSchema = z.strictObject({
  ...IMAGE_OPTIONS,
  ...TRAINING_OPTIONS,
  ...AUGMENTATION_OPTIONS,
  ...DISTILLATION_OPTIONS,
  ...MACHINE_OPTIONS,
});

/** A training option's name. */
export type TrainOptionName = keyof typeof trainSchema.shape;
/** What a recipe, a config file or code gives: every option may be left out. */
export type { TrainInput } from "./train-input.ts";
/** Every option with its value. `outputDir` is filled in by parseTrainOptions and by the command line. */
export type TrainOptions = z.output<typeof trainSchema> & { outputDir: string };

/** Option names in the order of the schema. */
export const TRAIN_OPTION_NAMES: readonly TrainOptionName[] = trainSchema.keyof().options;

/** Options that say how a run is carried out, not what comes of it: they may change when it is resumed. */
export const MAY_DIFFER_ON_RESUME: readonly TrainOptionName[] = [
  "outputDir",
  "device",
  "threads",
  "stepsPerRun",
  "precision",
  "recompute",
  "workers",
  "ranks",
  "rankTimeout",
  "teacherCache",
  "teacherCacheGib",
  "saveEvery",
  "saveSteps",
  "saveMinutes",
];

/** The JSON Schema (2020-12) of a recipe or config file, for editors and other tools. */
export function trainJsonSchema(): object {
  return z.toJSONSchema(trainSchema, { io: "input" });
}
