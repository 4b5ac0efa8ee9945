/** `deit analyze attention`: where class and distillation token look in images, head by head and by rollout. */
import { Option } from "commander";
import type { Command } from "commander";
import type { AttentionSource } from "../../attention/attention.ts";
import type { HeadFusion, TokenName } from "deit-ts/models";
import {
  ConfigError,
  CHECKPOINT_KINDS,
  MODEL_FLAGS,
  addCheckpointFlags,
  coloursFor,
  commandLine,
  createOutput,
  fetchCheckpoint,
  givenOptions,
  preprocessingOptions,
  table,
  withProgress,
} from "deit-ts/cli";

const OPTIONS = MODEL_FLAGS;

interface AttentionFlags {
  out?: string;
  layer?: readonly number[] | undefined;
  head?: readonly number[] | undefined;
  token: TokenName | "both";
  headFusion: HeadFusion;
  discardRatio: number;
  json?: true;
}

export function addAttentionCommand(analyze: Command): void {
  const command = analyze
    .command("attention")
    .description("Where a transformer looks: maps of each head and layer over the image, and rollout.")
    .argument("<checkpoint>", CHECKPOINT_KINDS)
    .argument("<image...>", "image files")
    .option("--out <DIR>", "folder for maps and page (default: attention)")
    .option("--layer <N,…>", "only these layers, from 1; one file per map", wholeNumbers("layer"))
    .option("--head <N,…>", "only these heads, from 1", wholeNumbers("head"))
    .addOption(
      new Option("--token <NAME>", "token whose attention is shown")
        .choices(["class", "distillation", "both"])
        .default("both", "both, where there are both"),
    )
    .addOption(
      new Option("--head-fusion <NAME>", "how rollout combines the heads of a layer")
        .choices(["mean", "max", "min"] satisfies HeadFusion[])
        .default("mean"),
    )
    .addOption(
      new Option(
        "--discard-ratio <SHARE>",
        "fraction of the smallest attention weights that rollout discards",
      )
        .argParser(share("discard-ratio"))
        .default(0),
    )
    .option("--json", "print the numbers as one JSON document; files only with --out");
  addCheckpointFlags(command, OPTIONS);
  command
    .addHelpText(
      "after",
      `
The folder contains, for each image, the rollout over the whole image at its own size,
and sheets of both tokens and of all heads and layers; index.html with all of them; and
the numbers: attention.json with the maps, attention.csv with the position and spread of
each head's attention. Files that are not images are skipped, with a warning.

Examples:
  deit analyze attention model.safetensors cat.jpg
  deit analyze attention runs/distilled cat.jpg --layer 6,12 --token distillation
  deit analyze attention model.safetensors cat.jpg --head-fusion max --discard-ratio 0.9`,
    )
    .action(runAttention);
}

async function runAttention(
  checkpoint: string,
  images: string[],
  flags: AttentionFlags,
  command: Command,
): Promise<void> {
  const output = createOutput({ json: flags.json });
  const given = { ...givenOptions(command, OPTIONS), ...preprocessingOptions(command) };
  const { layer, head, token, headFusion, discardRatio, json } = flags;
  const [{ attentionMaps }, { attentionFiles }, { attentionNumbers }] = await Promise.all([
    import("../../attention/attention.ts"),
    import("../../attention/attention-files.ts"),
    import("../../attention/attention-numbers.ts"),
  ]);
  await fetchCheckpoint(checkpoint);
  const folder = flags.out ?? (json ? undefined : "attention");
  const selection = { layers: layer, heads: head };
  const files = folder === undefined ? undefined : attentionFiles(folder, selection);
  const looked: { image: string; said: readonly string[]; files: readonly string[]; numbers: unknown }[] = [];
  const source = await withProgress({ output, label: "looking", unit: "images" }, (hooks) =>
    attentionMaps(
      {
        checkpoint,
        images,
        ...given,
        token,
        headFusion,
        discardRatio,
      },
      async (maps, from) => {
        checkSelection(from, { layer, head });
        const written = (await files?.add(maps, from)) ?? [];
        looked.push({
          image: maps.image,
          said: maps.tokens.map(
            ({ token, prediction: { label, score } }) => `${token}: ${label} ${(100 * score).toFixed(1)} %`,
          ),
          files: written,
          numbers: json ? attentionNumbers(maps, from, selection) : undefined,
        });
      },
      hooks,
    ),
  ).catch(async (error: unknown) => {
    await files?.discard();
    throw error;
  });
  const page = await files?.finish(source, commandLine());
  const { bold } = coloursFor(process.stdout);
  output.result(
    {
      ...source,
      ...(page !== undefined && { page }),
      images: looked.map(({ numbers, files }) => ({ ...(numbers as object), files })),
    },
    () =>
      [
        `${source.model}: ${source.layers} layers of ${source.headsPerLayer} heads, ${source.grid[1]} × ${source.grid[0]} patches`,
        table(looked.map(({ image, said }) => [bold(image), ...said])),
        `${looked.reduce((sum, { files }) => sum + files.length, 0)} images in ${folder}, all on one page: ${page}`,
      ].join("\n\n"),
  );
}

/** @throws ConfigError for a layer or head that the model has not */
function checkSelection(
  { model, layers, headsPerLayer }: AttentionSource,
  { layer, head }: Pick<AttentionFlags, "layer" | "head">,
): void {
  for (const [name, given, most] of [
    ["layer", layer, layers],
    ["head", head, headsPerLayer],
  ] as const) {
    const beyond = given?.find((number) => number > most);
    if (beyond !== undefined)
      throw new ConfigError(name, `--${name}: got ${beyond}, but ${model} has ${most} ${name}s`, {
        code: "options/out-of-range",
        hint: `Give numbers from 1 to ${most}.`,
      });
  }
}

/** "1,6,12" → [1, 6, 12], without repetitions. */
function wholeNumbers(name: string): (text: string) => readonly number[] {
  return (text) => {
    const values = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
    if (values.every((value) => Number.isSafeInteger(value) && value >= 1)) return [...new Set(values)];
    throw new ConfigError(
      name,
      `--${name}: got ${JSON.stringify(text)}, expected whole numbers from 1, with commas between them`,
      { code: "options/value" },
    );
  };
}

function share(name: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= 0 && value < 1) return value;
    throw new ConfigError(
      name,
      `--${name}: got ${JSON.stringify(text)}, expected a number from 0 to below 1`,
      { code: "options/value" },
    );
  };
}
