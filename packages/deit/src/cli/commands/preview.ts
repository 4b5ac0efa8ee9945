/** `deit data preview`: a contact sheet of what the model sees of a training step, stage by stage. */
import { basename, resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { requireImages } from "../../config/resolve.ts";
import type { TrainOptionName } from "../../config/schema.ts";
import type { ImagePlan } from "../../training/plan.ts";
import type { PlannedSample } from "../../data/loading/epoch-plan.ts";
import { ConfigError } from "../../errors.ts";
import { fetchCheckpoint } from "../fetch-checkpoint.ts";
import { createOutput } from "../output.ts";
import { addSchemaFlags, flagLayer } from "../schema-flags.ts";
import { wholeNumber } from "../whole-number.ts";

/** Options that decide which images a model sees. */
const OPTIONS: readonly TrainOptionName[] = [
  ...(["dataPath", "dataSet", "valSplit", "numTrain", "model", "inputSize", "batchSize", "seed"] as const),
  ...(["crop", "scale", "ratio", "hflip", "src", "trainInterpolation", "aa", "colorJitter"] as const),
  ...(["threeAugment", "reprob", "remode", "recount", "repeatedAug", "augRepeats"] as const),
  ...([
    "mixup",
    "cutmix",
    "cutmixMinmax",
    "mixupProb",
    "mixupSwitchProb",
    "mixupMode",
    "mean",
    "std",
  ] as const),
];

interface PreviewFlags {
  out: string;
  epoch: number;
  step: number;
  rows: number;
  sample?: string;
  json?: true;
}

export function addPreviewCommand(data: Command): void {
  const command = data
    .command("preview")
    .description("Draw a sheet of training images as the model sees them, stage by stage.")
    .argument("[source]", "folder of images, recipe (name or file) or run folder, as for deit train");
  addSchemaFlags(command, OPTIONS, { groups: false });
  const number = (flag: string, words: string, standard: number): Option =>
    new Option(`--${flag} <N>`, words)
      .argParser(wholeNumber(flag, flag === "rows" ? 1 : 0))
      .default(standard);
  command
    .option("--out <FILE>", "output file: .html, .png, .jpg or .webp", "preview.html")
    .addOption(number("epoch", "epoch, from 0", 0))
    .addOption(number("step", "step of the epoch, from 0", 0))
    .addOption(number("rows", "number of images of the batch", 8))
    .option("--sample <INDEX[:COPY]>", "one image, by its index in the dataset, as augmented in that epoch")
    .option("--json", "print every draw as one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  deit data preview ./photos --out sheet.html\n  deit data preview cifar10-deit --step 3\n  deit data preview ./photos --sample 17:2 --json",
    )
    .action(runPreview);
}

async function runPreview(source: string | undefined, flags: PreviewFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const { checkSheetFile } = await import("../../preview/drawing.ts");
  await checkSheetFile(flags.out, "out");
  const { chooseOptions } = await import("../../training/choose-options.ts");
  const { options, chosen, continues } = await chooseOptions({
    source,
    given: flagLayer(command),
    fetch: fetchCheckpoint,
  });
  chosen.forEach(output.note);
  requireImages(options, "deit data preview ./photos");
  const sample = flags.sample === undefined ? undefined : readSample(flags.sample);
  const { openDatasets } = await import("../../data/open.ts");
  const { previewBatch } = await import("../../preview/preview.ts");
  const { writeSheet } = await import("../../preview/sheet.ts");
  const { planImages } = await import("../../training/plan.ts");
  const { buildModel, modelRequest } = await import("../../models/model-request.ts");
  const plan = planImages(options);
  const { readRecordedImages } = await import("../../training/run/run-record.ts");
  const given = flagLayer(command).values;
  const isOwnSplit = ["valSplit", "numTrain", "seed"].some((name) => given[name] !== undefined);
  const recorded = continues && !isOwnSplit ? await readRecordedImages(options.outputDir) : undefined;
  if (continues && isOwnSplit)
    output.warn(
      `these are not the images that ${options.outputDir} was trained on: they are split by the flags given`,
    );
  const onNote = output.warn;
  const { train: dataset } = await openDatasets({ ...plan.data, recorded }, { onNote });
  const { model } = buildModel(modelRequest(options).request, dataset.classes.length);
  const { epoch, step } = flags;
  if (epoch >= options.epochs)
    throw new ConfigError("epoch", `there is no epoch ${epoch}: the run has ${options.epochs}, from 0 on`, {
      code: "options/out-of-range",
    });
  const { seed } = plan.batches;
  const rows = await previewBatch(
    plan,
    { dataset, size: model.config.inputSize },
    { epoch, step, rows: flags.rows, ...(sample && { sample }) },
  );
  const spec = ({ index, copy }: PlannedSample): string =>
    `seed ${seed} · epoch ${epoch} · image ${index} · copy ${copy}`;
  const file = resolve(flags.out);
  await writeSheet(file, rows, {
    title: sample ? `${nameOf(plan.data)}, one image` : `${nameOf(plan.data)}, epoch ${epoch}, step ${step}`,
    subtitle: subtitleOf(plan),
    names: (row) => `${spec(row.sample)} · ${row.file}`,
  });
  const samples = rows.map(({ sample: { index, copy }, file: name, label, draw, mix, target }) => ({
    seed,
    epoch,
    image: index,
    copy,
    file: name,
    label,
    draw,
    mix: mix ?? null,
    target,
  }));
  const { name: modelName, config } = model;
  output.result(
    {
      sheet: file,
      model: modelName,
      inputSize: config.inputSize,
      epoch,
      step,
      smoothing: plan.targets.smoothing,
      samples,
    },
    () =>
      [
        `training images, stage by stage: ${file}`,
        "",
        ...rows.map(({ sample: own }) => `  ${spec(own)}`),
      ].join("\n"),
  );
}

function readSample(text: string): PlannedSample {
  const [, index, copy = "0"] = /^(\d+)(?::(\d+))?$/.exec(text) ?? [];
  if (index !== undefined) return { index: Number(index), copy: Number(copy) };
  throw new ConfigError(
    "sample",
    `--sample: got "${text}", expected an image's number, as 17 or 17:2 (copy 2)`,
    { code: "options/value" },
  );
}

function nameOf({ dataPath, dataSet = "auto" }: ImagePlan["data"]): string {
  return dataPath == null ? dataSet : basename(resolve(dataPath));
}

function subtitleOf({ images: { transform, mixup }, targets, batches }: ImagePlan): string {
  const { augment, threeAugment, colorJitter = 0, erasing } = transform;
  const jitters = colorJitter > 0 && (threeAugment === true || augment === undefined);
  const parts = [
    threeAugment ? "3-Augment" : (augment ?? "no RandAugment"),
    ...(jitters ? [`colour jitter ${colorJitter}`] : []),
    erasing ? `erasing ${erasing.probability}` : "no erasing",
    mixup && mixup.mixup > 0 ? `Mixup ${mixup.mixup}` : "no Mixup",
    mixup && (mixup.cutmix > 0 || mixup.cutmixMinmax !== null) ? `CutMix ${mixup.cutmix}` : "no CutMix",
    ...(batches.repeats > 1 ? [`each image ${batches.repeats} times`] : []),
    ...(targets.smoothing > 0 ? [`smoothing ${targets.smoothing} (not shown)`] : []),
  ];
  return `From the file to what the model sees: ${parts.join(", ")}`;
}
