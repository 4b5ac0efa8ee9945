/**
 * `deit-ts/cli`: what packages that add commands to `deit` make them of, as deit-ts-lab does. It loads as fast as a help text should
 * come: a command imports what does its work when it runs.
 */
export { namesImages, requireImages } from "../config/resolve.ts";
export { TRAIN_OPTION_NAMES } from "../config/schema.ts";
export { ConfigError, DeitError } from "../errors.ts";
export { IMAGE_FLAGS, MODEL_FLAGS, PASS_FLAGS, checkpointOptions } from "./checkpoint-command.ts";
export { commandLine } from "./command-line.ts";
export { CHECKPOINT_KINDS, fetchCheckpoint } from "./fetch-checkpoint.ts";
export { duration, facts, integer, mebibytes, short, table } from "./views/text-format.ts";
export { withInterrupt } from "./interrupt.ts";
export { makeFolder, refuseFile } from "./output-folder.ts";
export { coloursFor, createOutput } from "./output.ts";
export type { Output } from "./output.ts";
export { addCheckpointFlags, preprocessingOptions } from "./preprocessing-flags.ts";
export { createProgress } from "./views/progress-line.ts";
export type { Progress } from "./views/progress-line.ts";
export { runDataset } from "./run-dataset.ts";
export { addSchemaFlags, flagLayer, givenOptions } from "./schema-flags.ts";
export { wholeNumber } from "./whole-number.ts";
export { withProgress } from "./views/with-progress.ts";
