/** `deit data check`: what is wrong with a folder of images, before anything is trained on it. */
import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { ConfigError } from "../../errors.ts";
import { CHECKPOINT_KINDS, fetchCheckpoint } from "../fetch-checkpoint.ts";
import { commandLine } from "../command-line.ts";
import { facts, integer } from "../views/text-format.ts";
import { createOutput } from "../output.ts";
import { makeFolder } from "../output-folder.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";
import { withProgress } from "../views/with-progress.ts";
import type { ImageProblem } from "../../data-check/problems.ts";
import { shellWord } from "../../printable.ts";

const OPTIONS = ["dataSet", "inputSize", "device", "threads", "workers"] as const;

interface CheckFlags {
  checkpoint?: string;
  modelFree?: true;
  out?: string;
  json?: true;
}

export function addCheckCommand(data: Command): void {
  const command = data
    .command("check")
    .description(
      "Find what is wrong with images: copies, likely wrong labels, blurred, tiny and broken files.",
    )
    .argument("<folder>", "a folder of images, or a list of them")
    .option(
      "--checkpoint <CKPT>",
      `model whose features compare images: ${CHECKPOINT_KINDS} (default: DeiT-Ti)`,
    )
    .option("--model-free", "use no model: labels and near copies are not checked")
    .option("--out <DIR>", "output folder for the page and the table (default: NAME-check)")
    .option("--json", "print the result as one JSON document");
  addSchemaFlags(command, OPTIONS, { groups: false, defaults: false });
  command
    .addHelpText(
      "after",
      `
Nothing is changed. The page shows the images that were found; the table problems.csv has
a line for each, with what to do: "remove" for copies and broken files, "review" for the
rest. Labels are judged by a classifier on the model's features that has not seen the
image (5-fold cross-validation); about a third of those listed are correct but unusual.
Like deit finetune it fetches the weights of DeiT-Ti once (23 MB, Hugging Face Hub). A
checkpoint that was trained on these very labels has learnt their mistakes.

Examples:
  deit data check ./photos
  deit data check ./photos --checkpoint facebook/deit-small-patch16-224
  deit data check ./photos --model-free`,
    )
    .action(runCheck);
}

async function runCheck(folder: string, flags: CheckFlags, command: Command): Promise<void> {
  const output = createOutput({ json: flags.json });
  if (flags.modelFree && flags.checkpoint !== undefined)
    throw new ConfigError("checkpoint", "--checkpoint cannot be combined with --model-free", {
      code: "options/conflict",
      hint: "Leave out one of them.",
    });
  const options = givenOptions(command, OPTIONS);
  const out = flags.out ?? `${basename(resolve(folder)).replace(/\.\w+$/, "")}-check`;
  await makeFolder(out); // says what is wrong before the work, not after
  const { defaultCheckpoint } = await import("../../training/default-checkpoint.ts");
  const checkpoint = flags.modelFree
    ? null
    : (flags.checkpoint ?? (await defaultCheckpoint(fetchCheckpoint)));
  if (checkpoint !== null) await fetchCheckpoint(checkpoint);
  const { checkData } = await import("../../data-check/check.ts");
  const check = await withProgress({ output, label: "looking", unit: "images" }, (hooks) =>
    checkData({ dataPath: folder, checkpoint, ...options }, hooks),
  );
  const { writeCheck } = await import("../../data-check/files.ts");
  const { page, table } = await writeCheck(out, check, { command: commandLine() });
  const { balanceLine, checkDocument, labelsLine, PROBLEM_KINDS } =
    await import("../../data-check/problems.ts");
  output.result({ ...checkDocument(check), page, table }, () =>
    [
      `${folder}: ${integer(check.images)} images (${check.parts.map(({ part, images }) => `${integer(images)} in ${part}`).join(", ")}), ${check.classes.length} classes`,
      facts([
        ...PROBLEM_KINDS.map(
          (kind) =>
            [
              kind,
              flags.modelFree && NEED_MODEL.includes(kind)
                ? "not checked (--model-free)"
                : describe(check.problems.filter((each) => each.kind === kind)),
            ] as const,
        ),
        ["balance", balanceLine(check)],
        ["labels", labelsLine(check)],
        ["page", page],
        ["table", table],
      ]),
      "",
      "Next:",
      `  deit finetune ${shellWord(folder)}`,
    ].join("\n"),
  );
}

/** What only a model finds. */
const NEED_MODEL: readonly string[] = ["near-copy", "label"];

/** `12 images, 3 of them in training and validation both`; `none`. */
function describe(problems: readonly ImageProblem[]): string {
  if (problems.length === 0) return "none";
  const across = problems.filter(
    ({ image, other }) => other !== undefined && other.part !== image.part,
  ).length;
  const count = `${integer(problems.length)} ${problems.length === 1 ? "image" : "images"}`;
  return across === 0 ? count : `${count}, ${integer(across)} of them of validation images`;
}
