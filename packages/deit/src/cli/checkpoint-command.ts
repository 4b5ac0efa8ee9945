/** What commands share that ask checkpoints about images: their flags, the images of runs, weights fetched in sight. */
import type { Command } from "commander";
import type { PartialPreprocessing } from "../augmentation/preprocessing.ts";
import { requireImages } from "../config/resolve.ts";
import type { GivenOptions } from "../config/resolve.ts";
import type { TrainOptionName } from "../config/schema.ts";
import type { DataOptions } from "../data/open.ts";
import { namedCheckpoint } from "../evaluation/checkpoints/named-checkpoint.ts";
import { fetchCheckpoint, requireCheckpoint } from "./fetch-checkpoint.ts";
import type { Output } from "./output.ts";
import { preprocessingOptions } from "./preprocessing-flags.ts";
import { runDataset } from "./run-dataset.ts";
import { givenOptions } from "./schema-flags.ts";

/** How a checkpoint is opened, and where it computes; with the flags of preprocessing-flags.ts. */
export const MODEL_FLAGS = ["model", "inputSize", "weights", "device", "threads"] as const;
/** Which images it is asked about. */
export const IMAGE_FLAGS = ["dataPath", "dataSet", "valSplit", "seed"] as const;
/** How it goes through them. */
export const PASS_FLAGS = ["batchSize", "workers"] as const;

type ImageFlag = (typeof IMAGE_FLAGS)[number];

/**
 * The values of a command's flags, with the images of a run among its checkpoints where no others are named; then makes
 * sure that the checkpoints are on this machine.
 * @throws ConfigError when there are no images
 */
export async function checkpointOptions<Name extends TrainOptionName>(
  command: Command,
  checkpoints: readonly string[],
  { output, names }: { output: Output; names: readonly (Name | ImageFlag)[] },
): Promise<
  GivenOptions<Name | ImageFlag> & Pick<DataOptions, "recorded"> & { preprocessing?: PartialPreprocessing }
> {
  const given = givenOptions(command, names);
  for (const checkpoint of checkpoints) await requireCheckpoint(namedCheckpoint(checkpoint).path);
  const dataset = await runDataset(checkpoints, given);
  for (const note of dataset.notes) output.warn(note);
  const options = { ...given, ...dataset.options };
  requireImages(
    { dataPath: options.dataPath ?? null, dataSet: options.dataSet ?? "auto" },
    `${nameOf(command)} ${checkpoints.join(" ")} --data-path ./photos`,
  );
  for (const checkpoint of checkpoints) await fetchCheckpoint(namedCheckpoint(checkpoint).path);
  return { ...options, ...preprocessingOptions(command) };
}

/** `deit analyze tokens` */
function nameOf(command: Command): string {
  const names: string[] = [];
  for (let own: Command | null = command; own !== null; own = own.parent) names.unshift(own.name());
  return names.join(" ");
}
