/** `deit analyze tokens`: class and distillation token from layer to layer (§4). */
import type { Command } from "commander";
import type { HeadTokens, TokensResult } from "../../tokens/tokens.ts";
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

export function addTokensCommand(analyze: Command): void {
  const command = analyze
    .command("tokens")
    .description("Similarity of class and distillation token by layer, and what each attends to (§4).")
    .argument("<checkpoint>", CHECKPOINT_KINDS)
    .option("--images <N>", "use N random images (default: all)", wholeNumber("images"))
    .option("--out <DIR>", "folder for figures, tokens.csv, tokens.json and an HTML page")
    .option("--json", "print the result as one JSON document");
  addCheckpointFlags(command, OPTIONS);
  command
    .addHelpText(
      "after",
      `
A plain model has a class token alone: what it attends to is measured, and how far
the patches look.

Example:
  deit analyze tokens runs/distilled --data-path ./photos --images 500 --out tokens`,
    )
    .action(runTokens);
}

async function runTokens(
  checkpoint: string,
  flags: { images?: number; out?: string; json?: true },
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const options = await checkpointOptions(command, [checkpoint], { output, names: OPTIONS });
  const { analyzeTokens, layerMeans } = await import("../../tokens/tokens.ts");
  const { images, out } = flags;
  if (out !== undefined) await makeFolder(out); // says what is wrong before the work, not after
  const result = await withProgress({ output, label: "looking", unit: "images" }, (hooks) =>
    analyzeTokens({ checkpoint, ...options, ...(images && { images }) }, hooks),
  );
  if (out !== undefined) {
    const { writeTokens } = await import("../../tokens/tokens-files.ts");
    const files = await writeTokens(out, result, commandLine());
    output.note(`${files.length} files in ${out}, all on one page: ${out}/index.html`);
  }
  output.result(result, () => describeTokens(result, (pick) => layerMeans(result, pick)));
}

/** Tables of the layers; heads one by one are in the JSON. */
function describeTokens(
  result: TokensResult,
  mean: (pick: (head: HeadTokens) => number) => number[],
): string {
  const { model, images, inputSize, layers, headsPerLayer, patches } = result;
  return [
    `${model} on ${integer(images)} images at ${inputSize.join(" × ")}: ${layers} layers of ${headsPerLayer} heads, ${patches} patches`,
    ...similarityLines(result.similarity),
    attentionTable(result, mean),
    "patches: the number over which the attention among the patches is spread, e to its entropy\n" +
      "distance: how far patches look, in pixels (the ViT paper's mean attention distance)",
  ].join("\n\n");
}

function similarityLines(similarity: TokensResult["similarity"]): string[] {
  if (similarity === null)
    return [
      "A plain model: it has no distillation token, so there is no similarity. What its class token attends to:",
    ];
  const spread = ({ mean, deviation }: { mean: number; deviation: number }): [string, string] => [
    mean.toFixed(3),
    `± ${deviation.toFixed(3)}`,
  ];
  const rows = [
    ["as parameters", similarity.parameters.toFixed(3), "", "paper: 0.06"],
    ["after the embedding", similarity.embedding.toFixed(3), "", ""],
    ...similarity.layers.map((layer, i) => [`after layer ${i + 1}`, ...spread(layer), ""]),
    ["after the final norm", ...spread(similarity.final), "paper: 0.93; two class tokens 0.999"],
  ];
  return [
    `Cosine of class and distillation token, ± one deviation over the images\n${table(rows, { right: [1, 2] })}`,
  ];
}

function attentionTable(
  { similarity }: TokensResult,
  mean: (pick: (head: HeadTokens) => number) => number[],
): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const count = (value: number): string => value.toFixed(1);
  const none = Number.NaN;
  const columns: [heading: string, values: number[], shown: (value: number) => string][] = [
    ["class → itself", mean((head) => head.class.self), percent],
    ["→ distillation", mean((head) => head.class.other), percent],
    ["→ patches", mean((head) => head.class.patches), percent],
    ["patches", mean((head) => head.class.effectivePatches), count],
  ];
  if (!similarity) columns.splice(1, 1);
  else {
    columns.push(
      ["distillation → itself", mean((head) => head.distillation?.self ?? none), percent],
      ["→ class", mean((head) => head.distillation?.other ?? none), percent],
      ["→ patches", mean((head) => head.distillation?.patches ?? none), percent],
      ["patches", mean((head) => head.distillation?.effectivePatches ?? none), count],
      ["in common", mean((head) => head.overlap ?? none), percent],
    );
  }
  columns.push(["distance", mean((head) => head.patchDistance), count]);
  const rows = (columns[0]?.[1] ?? []).map((_, layer) => [
    String(layer + 1),
    ...columns.map(([, values, shown]) => shown(values[layer] ?? none)),
  ]);
  return table([["layer", ...columns.map(([heading]) => heading)], ...rows], {
    right: [0, ...columns.map((_, i) => i + 1)],
  });
}
