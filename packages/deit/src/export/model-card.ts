/** README.md of an exported model: what it is, how to use it, what was measured. */
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import type { Selection } from "../evaluation/metrics/share.ts";
import {
  countOf,
  describeSelection,
  intervalText,
  percentText,
  shareOf,
} from "../evaluation/metrics/share.ts";
import { countParameters } from "../models/registry.ts";
import { markdownText, oneLine, printable, printableJson } from "../printable.ts";
import type { TaughtBy } from "./teacher-licence.ts";
import { VERSION } from "../version.ts";
import type { Comparison } from "./check.ts";
import { classNames } from "./weights.ts";

export interface ModelCardOptions {
  readonly loaded: LoadedModel;
  /** What the images are called that it was measured with; undefined for none. */
  readonly dataName: string | undefined;
  /** How the weights were chosen, where that was done with these images; undefined: not known. */
  readonly selection: Selection | undefined;
  readonly comparisons: readonly Comparison[];
  /** Images that the ranges of the int8 file were taken from; undefined when each run finds its own. */
  readonly calibratedWith: number | undefined;
  /** Name of the image of the confusion matrix, in the same folder. */
  readonly figure: string | undefined;
  /** Undefined for a model without a teacher. */
  readonly taughtBy?: TaughtBy | undefined;
  /** Name under which it might be published. */
  readonly name: string;
  /** Name of its folder. */
  readonly folder: string;
}

/** Datasets that the Hub has, by our name. */
const HUB_DATASETS: Readonly<Record<string, string>> = {
  cifar10: "uoft-cs/cifar10",
  cifar100: "uoft-cs/cifar100",
};

/** Classes named in the card. */
const NAMED = 50;

export function modelCard(options: ModelCardOptions): string {
  const { loaded, dataName, selection, comparisons, calibratedWith, figure, taughtBy, name, folder } =
    options;
  const { model } = loaded;
  const classes = classNames(loaded);
  const [height, width] = model.config.inputSize;
  const path = JSON.stringify(`./${oneLine(printable(folder)).replaceAll("`", "")}`);
  const own = comparisons.find(({ file, by }) => by === "deit" && file === "onnx/model.onnx");
  const front = [
    "---",
    "library_name: transformers.js",
    "pipeline_tag: image-classification",
    "tags:",
    "  - deit",
    "  - image-classification",
    "  - onnx",
    ...(dataName === undefined || selection?.heldOut === 0
      ? []
      : resultLines({ name, dataName, acc1: own?.acc1 })),
    "---",
  ];
  return `${[
    ...front,
    "",
    `# ${markdownText(name)}`,
    "",
    `${model.name}${model.config.distilled ? ", with a distillation token: its answer is the mean of both heads" : ""}; ` +
      `${countParameters(model).toLocaleString("en")} parameters, ${height} × ${width} pixels, ${classes.length} classes. ` +
      `Made by [deit-ts](https://www.npmjs.com/package/deit-ts) ${VERSION}.`,
    "",
    "## Use",
    "",
    "```js",
    'import { pipeline } from "@huggingface/transformers";',
    "",
    `const classify = await pipeline("image-classification", ${path}, { dtype: "fp32" }); // fp16, q8`,
    'console.log(await classify("image.jpg"));',
    "```",
    "",
    `In Python: \`transformers.pipeline("image-classification", model=${path})\`.`,
    "",
    "## Measured",
    "",
    ...measured(comparisons, { dataName, selection }),
    "",
    calibratedWith === undefined
      ? "The int8 file finds the ranges of its activations in every run."
      : `The ranges of the int8 file's activations are those of ${calibratedWith} training images.`,
    ...(figure === undefined ? [] : ["", `![confusion matrix](${figure})`]),
    ...(taughtBy === undefined ? [] : ["", "## Teacher", "", teacherText(taughtBy)]),
    ...(loaded.metadata.classes === undefined ? [] : ["", "## Classes", "", shortList(classes)]),
  ].join("\n")}\n`;
}

function teacherText({ name, licence }: TaughtBy): string {
  const stated =
    licence === undefined
      ? "Its files state no licence: find out what it allows before you publish this model."
      : `Its licence: ${markdownText(licence)}.`;
  return `This model was distilled from ${markdownText(name)}. ${stated}`;
}

/** The result of model.onnx as the Hub shows it beside the card. */
function resultLines({
  name,
  dataName,
  acc1,
}: {
  name: string;
  dataName: string;
  acc1: number | undefined;
}): string[] {
  if (acc1 === undefined) return [];
  const id = HUB_DATASETS[dataName];
  return [
    ...(id === undefined ? [] : ["datasets:", `  - ${id}`]),
    "metrics:",
    "  - accuracy",
    "model-index:",
    `  - name: ${printableJson(JSON.stringify(name))}`,
    "    results:",
    "      - task:",
    "          type: image-classification",
    "        dataset:",
    `          name: ${printableJson(JSON.stringify(dataName))}`,
    `          type: ${id ?? "imagefolder"}`,
    "        metrics:",
    "          - type: accuracy",
    `            value: ${Number((acc1 / 100).toFixed(6))}`,
  ];
}

function shortList(classes: readonly string[]): string {
  const more = classes.length - NAMED;
  return classes.slice(0, NAMED).map(markdownText).join(", ") + (more > 0 ? `, and ${more} more` : "");
}

function measured(
  comparisons: readonly Comparison[],
  { dataName, selection }: Pick<ModelCardOptions, "dataName" | "selection">,
): string[] {
  const chosen = selection && describeSelection(selection);
  const which = selection?.heldOut === 0 ? " that it was trained on" : selection ? " that were held out" : "";
  const images = comparisons[0]?.images ?? 0;
  const rows = comparisons.map(({ file, by, bytes, share, change, agreement, largestDifference }) =>
    [
      `\`${file}\``,
      `${(bytes / 1e6).toFixed(1)} MB`,
      by === "deit" ? "as in evaluation" : "transformers.js' own preparation",
      ...(share === undefined
        ? ["", ""]
        : [`${percentText(share)} (${countOf(share)})`, selection?.heldOut === 0 ? "" : intervalText(share)]),
      change === undefined ? "" : signed(change.points),
      countOf(shareOf(agreement, images)),
      largestDifference === undefined ? "" : largestDifference.toPrecision(2),
    ].join(" | "),
  );
  return [
    dataName === undefined
      ? `On ${images} images of noise: this checks that the files compute the same, not their accuracy.`
      : `On ${images} images of ${markdownText(dataName)}${which}; the interval is Wilson's, change is against the model that was exported, in points.`,
    ...(chosen === undefined ? [] : ["", `The weights are those of the ${chosen}.`]),
    "",
    "| file | size | images prepared | top-1 | 95 % interval | change | agreement | largest difference of a logit |",
    "|---|---|---|---|---|---|---|---|",
    ...rows.map((row) => `| ${row} |`),
  ];
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}
