/** `deit data`: fetches known datasets, and tells what a dataset holds. */
import { resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { didYouMean } from "../../config/names.ts";
import { parseTrainOptions } from "../../config/resolve.ts";
import type { DataOptions } from "../../data/open.ts";
import { ConfigError } from "../../errors.ts";
import { showDownloads } from "../views/download-view.ts";
import { facts, integer, mebibytes } from "../views/text-format.ts";
import { withInterrupt } from "../interrupt.ts";
import { createOutput } from "../output.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";
import { createProgress, rateMeter } from "../views/progress-line.ts";
import { wholeNumber } from "../whole-number.ts";
import { addCheckCommand } from "./data-check.ts";
import { addPreviewCommand } from "./preview.ts";
import { shellWord } from "../../printable.ts";

const DATASETS = ["cifar10", "cifar100"] as const;
const OPTIONS = ["dataSet"] as const;
const PLAIN = { groups: false, defaults: false } as const;
type DatasetName = (typeof DATASETS)[number];

export function addDataCommand(program: Command): void {
  const data = program.command("data").description("Download, inspect, check, pack and preview datasets.");
  data
    .command("pull")
    .description("Download a dataset into the user's cache folder; verified, and resumed where it stopped.")
    .argument("<dataset>", DATASETS.join(" | "))
    .option("--output-dir <DIR>", "output folder (default: the cache)")
    .option("--json", "print the result as one JSON document")
    .addHelpText("after", "\nExample:\n  deit data pull cifar10")
    .action(runPull);
  const info = data
    .command("info")
    .description("Show the contents of a dataset: classes, broken images, exact copies, skipped files.")
    .argument("<dataset>", `a folder of images, or ${DATASETS.join(" | ")}`);
  addSchemaFlags(info, OPTIONS, PLAIN);
  info
    .option("--json", "print the result as one JSON document")
    .addHelpText("after", "\nExamples:\n  deit data info ./photos\n  deit data info cifar10")
    .action(runInfo);
  const pack = data
    .command("pack")
    .description("Write a dataset with its classes and split as Parquet shards, to copy to another machine.")
    .argument("<dataset>", `a folder of images, or ${DATASETS.join(" | ")}`);
  addSchemaFlags(pack, OPTIONS, PLAIN);
  pack
    .requiredOption("--output-dir <DIR>", "folder for the shards; --data-path reads it")
    .addOption(
      new Option("--shard-size <N>", "size of a shard in MiB (default: 256)").argParser(
        wholeNumber("shard-size"),
      ),
    )
    .option("--json", "print the result as one JSON document")
    .addHelpText("after", "\nExample:\n  deit data pack ./photos --output-dir ./photos-shards")
    .action(runPack);
  addCheckCommand(data);
  addPreviewCommand(data);
}

/** The images that are named: a known dataset, or a folder, of the kind that --data-set says. */
function inputOf(given: string, command: Command): Pick<DataOptions, "dataPath" | "dataSet"> {
  if (isKnown(given)) return { dataSet: given };
  const { dataSet } = givenOptions(command, OPTIONS);
  return { dataPath: given, ...(dataSet && { dataSet }) };
}

function isKnown(name: string): name is DatasetName {
  return DATASETS.some((known) => known === name);
}

async function runPull(name: string, flags: { outputDir?: string; json?: true }): Promise<void> {
  const output = createOutput({ json: flags.json });
  if (!isKnown(name)) {
    throw new ConfigError("dataset", `unknown dataset ${name}: expected ${DATASETS.join(" or ")}`, {
      code: "data/not-named",
      hint: didYouMean(name, DATASETS) || "A folder of images needs no download.",
    });
  }
  const { pullDataset } = await import("../../data/download/download-dataset.ts");
  const cacheDir = flags.outputDir === undefined ? undefined : resolve(flags.outputDir);
  const pulled = await showDownloads(name, (hooks) => pullDataset(name, { cacheDir, ...hooks }));
  output.result(pulled, () =>
    [
      `${name} ${pulled.wasThere ? "is already downloaded and complete" : `is there, from ${pulled.origin}`}`,
      facts([
        ["folder", pulled.path],
        ["size", mebibytes(pulled.bytes / 2 ** 20)],
      ]),
      "",
      "Next:",
      `  deit train --data-set ${name}`,
    ].join("\n"),
  );
}

async function runPack(
  given: string,
  flags: { outputDir: string; shardSize?: number; json?: true },
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { packDataset } = await import("../../data/pack.ts");
  const progress = createProgress("packing");
  const meter = rateMeter("images");
  const packed = await withInterrupt(
    (signal) =>
      packDataset({
        ...inputOf(given, command),
        outputDir: resolve(flags.outputDir),
        ...(flags.shardSize && { shardBytes: flags.shardSize * 2 ** 20 }),
        onProgress: (done, total) => progress.update(done, total, meter(done, total)),
        onNote: output.warn,
        signal,
      }),
    () => progress.line("stopping; nothing is left behind"),
  ).finally(() => progress.stop());
  output.result(packed, () =>
    [
      `${given} is packed: ${integer(packed.images)} images to train, ${integer(packed.validationImages)} to validate, ${packed.classes} classes`,
      facts([
        ["folder", packed.path],
        ["shards", `${packed.files.length}, ${mebibytes(packed.bytes / 2 ** 20)}`],
      ]),
      "",
      "Next:",
      `  deit train --data-path ${shellWord(flags.outputDir)}`,
    ].join("\n"),
  );
}

async function runInfo(given: string, flags: { json?: true }, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { openDatasets } = await import("../../data/open.ts");
  const { medianSide } = await import("../../data/survey.ts");
  const { train, validation, automaticSplit } = await openDatasets(
    parseTrainOptions(inputOf(given, command)),
    {
      onNote: output.warn,
    },
  );
  const { checkImages, checkLines } = await import("../../data/check-images.ts");
  const progress = createProgress("looking at images");
  const meter = rateMeter("images");
  const check = await checkImages(
    { train, validation },
    { onProgress: (done, total) => progress.update(done, total, meter(done, total)) },
  ).finally(() => progress.stop());
  const left = [train, ...(validation && !automaticSplit ? [validation] : [])];
  const info = {
    name: given,
    images: train.length,
    validationImages: validation?.length ?? 0,
    automaticSplit,
    classes: countByClass(train),
    medianSize: await medianSide(train),
    checkedImages: check.checked,
    broken: check.broken,
    copies: check.copies,
    leftOut: (await Promise.all(left.map(async (dataset) => (await dataset.leftOut?.()) ?? []))).flat(),
  };
  output.result(info, () =>
    [
      `${info.name}: ${integer(info.images)} images to train, ${integer(info.validationImages)} to validate${automaticSplit ? " (held out at random)" : ""}, ${info.classes.length} classes`,
      facts([
        ["shorter side", `${info.medianSize} pixels (median)`],
        ...info.classes.slice(0, MAX_CLASSES).map(({ name, images }) => [name, integer(images)] as const),
      ]),
      ...(info.classes.length > MAX_CLASSES
        ? [`  and ${info.classes.length - MAX_CLASSES} classes more`]
        : []),
      ...checkLines(check, { named: MAX_BROKEN }),
    ].join("\n"),
  );
}

/** Classes that are shown one by one; --json has them all. */
const MAX_CLASSES = 20;
/** Images that cannot be read, shown one by one. */
const MAX_BROKEN = 20;

function countByClass({
  classes,
  labels,
}: {
  classes: readonly string[];
  labels: Int32Array;
}): { name: string; images: number }[] {
  const counts = classes.map((name) => ({ name, images: 0 }));
  for (const label of labels) {
    const entry = counts[label];
    if (entry !== undefined) entry.images++;
  }
  return counts;
}
