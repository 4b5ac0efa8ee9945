/** `deit analyze agreement`: Table 4 for any models, on any images. */
import { join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { Agreement } from "../../agreement/agreement.ts";
import {
  CHECKPOINT_KINDS,
  IMAGE_FLAGS,
  MODEL_FLAGS,
  PASS_FLAGS,
  addCheckpointFlags,
  checkpointOptions,
  commandLine,
  createOutput,
  integer,
  makeFolder,
  table,
  wholeNumber,
  withProgress,
} from "deit-ts/cli";

const OPTIONS = [...IMAGE_FLAGS, ...MODEL_FLAGS, ...PASS_FLAGS] as const;

export function addAgreementCommand(analyze: Command): void {
  const command = analyze
    .command("agreement")
    .description("How often models, their heads and the labels disagree (the paper's Table 4).")
    .argument("<checkpoint...>", `${CHECKPOINT_KINDS}; name=… names it`)
    .option("--images <N>", "use N random images (default: all)", wholeNumber("images"))
    .addOption(new Option("--split <NAME>", "split of the dataset (default: val)").choices(["val", "train"]))
    .option("--restrict-classes", "restrict predictions to the classes of the images")
    .option("--resamples <N>", "bootstrap resamples (default: 2000)", wholeNumber("resamples"))
    .option("--out <DIR>", "write tables, heat map, the images they disagree on, and a page")
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(command, OPTIONS);
  command
    .addHelpText(
      "after",
      `
A distilled model has three rows: class head, distillation head, both. Classes are
matched by name; all models are compared on the classes of the first. Of the images
that the runs were trained on, only those that all of them held out are used.

Examples:
  deit analyze agreement runs/plain runs/distilled teacher.onnx --data-set cifar10
  deit analyze agreement DeiT=model.safetensors convnet=teacher.onnx --data-path ./imagenet --out agreement`,
    )
    .action(runAgreement);
}

interface AgreementFlags {
  images?: number;
  split?: "val" | "train";
  restrictClasses?: true;
  resamples?: number;
  out?: string;
  json?: true;
}

async function runAgreement(checkpoints: string[], flags: AgreementFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  const options = await checkpointOptions(command, checkpoints, { output, names: OPTIONS });
  const { measureAgreement } = await import("../../agreement/agreement.ts");
  const { images, split, restrictClasses, resamples, out } = flags;
  if (out !== undefined) await makeFolder(out); // says what is wrong before the work, not after
  const measured = await withProgress({ output, label: "asking", unit: "images" }, (hooks) =>
    measureAgreement(
      { checkpoints, ...options, ...(split && { split }), images, restrictClasses, resamples },
      hooks,
    ),
  );
  const { agreement } = measured;
  const files: string[] = [];
  if (out !== undefined) {
    const { writeAgreement } = await import("../../agreement/agreement-files.ts");
    files.push(...(await writeAgreement(out, measured, { command: commandLine() })));
  }
  output.result(agreement, () => {
    const written =
      files.length > 0
        ? [
            `Written to ${join(out ?? "", "index.html")} and beside it: ${files.filter((name) => name !== "index.html").join(", ")}`,
          ]
        : [];
    return [describeAgreement(agreement), ...written].join("\n\n");
  });
}

/** The square in percent, and what is closer to what beyond chance. */
function describeAgreement({ models, disagreement, images, interval, closer }: Agreement): string {
  const percent = (rate: number): string => (100 * rate).toFixed(2);
  const numbers = models.map((_, i) => String(i + 1));
  const rows = models.map((name, row) => [
    numbers[row] ?? "",
    name,
    ...(disagreement[row] ?? []).map((rate, column) => {
      if (row === column) return "–";
      const [low = 0, high = 0] = [interval.low[row]?.[column], interval.high[row]?.[column]];
      return `${percent(rate)} ±${((100 * (high - low)) / 2).toFixed(2)}`;
    }),
  ]);
  return [
    `Disagreement on ${integer(images)} images, in percent, ± half of the 95 % interval`,
    table([["", "", ...numbers], ...rows], { right: [0, ...models.map((_, i) => i + 2)] }),
    ...closerLines(closer),
  ].join("\n\n");
}

/** Statements shown, at most: the most certain ones. */
const STATEMENTS = 12;

function closerLines(closer: Agreement["closer"]): string[] {
  if (closer.length === 0) return [];
  const sure = closer.filter(({ low, high }) => low > 0 || high < 0);
  if (sure.length === 0) return ["No model is closer to another than a third is, beyond chance."];
  const strength = ({ difference, low, high }: (typeof sure)[number]): number =>
    Math.abs(difference) / Math.max(1e-9, high - low);
  const rows = sure
    .toSorted((a, b) => strength(b) - strength(a))
    .slice(0, STATEMENTS)
    .map(({ to, a, b, difference, low, high }) => {
      const [near, far] = difference < 0 ? [a, b] : [b, a];
      const [least, most] = [
        Math.min(Math.abs(low), Math.abs(high)),
        Math.max(Math.abs(low), Math.abs(high)),
      ];
      return [
        `  ${near}`,
        `is closer to ${to} than`,
        far,
        `by ${(100 * Math.abs(difference)).toFixed(2)} (${(100 * least).toFixed(2)} to ${(100 * most).toFixed(2)}) points`,
      ];
    });
  const more = sure.length > STATEMENTS ? `, the surest ${STATEMENTS} of ${sure.length}` : "";
  return [`Beyond chance${more}\n${table(rows)}`];
}
