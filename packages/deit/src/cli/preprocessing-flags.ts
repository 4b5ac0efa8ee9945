/** Flags of every command that opens a checkpoint: how images are prepared for it, where not as its files say. */
import { Option } from "commander";
import type { Command } from "commander";
import type { PartialPreprocessing } from "../augmentation/preprocessing.ts";
import { INTERPOLATIONS } from "../augmentation/resize.ts";
import { RESIZE_MODES } from "../augmentation/transform.ts";
import type { TrainOptionName } from "../config/schema.ts";
import { addSchemaFlags, givenOptions } from "./schema-flags.ts";

/** Those that training has, too; `--eval-crop-ratio` is also `--crop-ratio`. */
const SCHEMA_FLAGS = ["mean", "std", "evalCropRatio"] as const;

/** Flags of a command that opens checkpoints: training's by `names`, and those of preparing images. */
export function addCheckpointFlags(command: Command, names: readonly TrainOptionName[]): void {
  addSchemaFlags(command, [...names, ...SCHEMA_FLAGS], { groups: false, defaults: false });
  command
    .addOption(new Option("--interpolation <NAME>", "filter for resizing images").choices(INTERPOLATIONS))
    .addOption(
      new Option(
        "--resize <HOW>",
        "shorter-side: crop what is too long; longer-side: pad; squash: change the aspect ratio; none: do not resize",
      ).choices(RESIZE_MODES),
    );
}

/** What was given of them; nothing when none was. @throws ConfigError for a wrong value */
export function preprocessingOptions(command: Command): { preprocessing?: PartialPreprocessing } {
  const { mean, std, evalCropRatio: cropRatio } = givenOptions(command, SCHEMA_FLAGS);
  const { interpolation, resize } = command.opts<Pick<PartialPreprocessing, "interpolation" | "resize">>();
  const preprocessing = { mean, std, cropRatio, interpolation, resize };
  return Object.values(preprocessing).some((value) => value !== undefined) ? { preprocessing } : {};
}
