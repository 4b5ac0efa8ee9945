/**
 * Layers of options (defaults < recipe or config file < flags) become one set of values, each with the place
 * that it came from. Unknown names are errors that suggest the right one; wrong values are errors that say
 * what was given and expected. No files are read here (recipe.ts does that).
 */
import type { z } from "zod";
import { ConfigError } from "../errors.ts";
import { shownValue } from "../printable.ts";
import { camelCase, didYouMean, kebabCase } from "./names.ts";
import { MEANINGLESS_OPTIONS, MISSING_OPTIONS, requireOff } from "./unsupported-options.ts";
import { infoOf, typeOf } from "./option.ts";
import { TRAIN_OPTION_NAMES, trainSchema } from "./schema.ts";
import type { TrainInput, TrainOptionName, TrainOptions } from "./schema.ts";

/** Some options and where they come from. Later layers win. */
export interface Layer {
  /** Shown by --print-config: `default`, `recipes/cifar10-small.ts`, `command line`. */
  readonly source: string;
  /** How the error messages spell an option: as a flag, or as a key of a file. */
  readonly spelling: "flag" | "key";
  /** By any spelling of an option's name. Flags may still be text: `"0.001"`. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface ResolvedOptions {
  readonly options: TrainOptions;
  readonly sources: Readonly<Record<TrainOptionName, string>>;
  /** Things the user should hear about: options of the reference that mean nothing here. */
  readonly notes: readonly string[];
}

/** The values of some options, where they were given. */
export type GivenOptions<Name extends TrainOptionName> = Partial<Pick<TrainOptions, Name>>;

const byKebabName = new Map<string, TrainOptionName>(
  TRAIN_OPTION_NAMES.flatMap((name) =>
    [kebabCase(name), ...(infoOf(trainSchema.shape[name]).aliases ?? [])].map(
      (kebab) => [kebab, name] as const,
    ),
  ),
);

/** Flag and key names that {@link resolveTrainOptions} knows, in kebab case, aliases included. */
export const KNOWN_NAMES: ReadonlySet<string> = new Set(byKebabName.keys());

/** The option that a name in any spelling stands for; undefined when there is none. */
export function optionNamed(given: string): TrainOptionName | undefined {
  return byKebabName.get(kebabCase(given));
}

/** Text as the value of an option, as a flag's is read; of a switch `true` or `false`, of a list `[0.5,1]`. */
export function readOption(name: TrainOptionName, text: string): unknown {
  if (typeOf(trainSchema.shape[name]).kind === "boolean" && /^(?:true|false)$/.test(text))
    return text === "true";
  return readText(name, text.replace(/^\[(.*)\]$/, "$1"));
}

/**
 * Merges `layers` over the schema's defaults.
 * @throws ConfigError for an unknown name, a wrong value, or an option that this version lacks.
 */
export function resolveTrainOptions(layers: readonly Layer[]): ResolvedOptions {
  const values: Partial<Record<TrainOptionName, unknown>> = {};
  const givenBy: Partial<Record<TrainOptionName, Layer>> = {};
  const notes: string[] = [];
  for (const layer of layers) {
    for (const [given, value] of Object.entries(layer.values)) {
      if (value === undefined) continue;
      const kebab = kebabCase(given);
      const meaningless = Object.hasOwn(MEANINGLESS_OPTIONS, kebab) ? MEANINGLESS_OPTIONS[kebab] : undefined;
      const name = byKebabName.get(kebab);
      if (name !== undefined) {
        values[name] = layer.spelling === "flag" ? readText(name, value) : value;
        givenBy[name] = layer;
      } else if (Object.hasOwn(MISSING_OPTIONS, kebab))
        requireOff(kebab, value, { flag: layer.spelling === "flag" });
      else if (meaningless !== undefined)
        notes.push(`${spell(kebab, layer)} changes nothing: ${meaningless.reason}`);
      else throw unknownOption(given, layer);
    }
  }
  const parsed = trainSchema.safeParse(values);
  if (!parsed.success) throw wrongValue(parsed.error, values, givenBy);
  checkAugmentation(parsed.data, { layers, givenBy });
  const options = { ...parsed.data, outputDir: parsed.data.outputDir ?? defaultOutputDir(parsed.data) };
  const sources = Object.fromEntries(
    TRAIN_OPTION_NAMES.map((name) => [name, givenBy[name]?.source ?? "default"]),
  );
  return { options, sources: sources as Record<TrainOptionName, string>, notes };
}

/**
 * --three-augment takes the place of --aa. A policy of an earlier layer, and the default that a run has recorded, give way
 * to it. @throws ConfigError for one that was asked for beside it
 */
function checkAugmentation(
  { aa, threeAugment }: Pick<TrainOptions, "aa" | "threeAugment">,
  { layers, givenBy }: { layers: readonly Layer[]; givenBy: Partial<Record<TrainOptionName, Layer>> },
): void {
  if (!threeAugment || aa === null || givenBy.aa === undefined || givenBy.threeAugment === undefined) return;
  const isAsked = layers.indexOf(givenBy.aa) >= layers.indexOf(givenBy.threeAugment);
  if (!isAsked || aa === trainSchema.shape.aa.parse(undefined)) return;
  throw new ConfigError("threeAugment", `--three-augment and --aa ${aa} are both given: only one is used`, {
    code: "options/conflict",
    hint: "Leave one of them out.",
  });
}

/**
 * Checks options that come from code and fills in the defaults.
 * @throws ConfigError like {@link resolveTrainOptions}, and when no images are named.
 */
export function parseTrainOptions(input: TrainInput): TrainOptions {
  const { options } = resolveTrainOptions([{ source: "code", spelling: "key", values: input }]);
  requireImages(options);
  return options;
}

/** Whether something says which images to use: a folder, or a dataset that has its place in the user's cache. */
export function namesImages({ dataPath, dataSet }: { dataPath: string | null; dataSet: string }): boolean {
  return dataPath !== null || dataSet === "cifar10" || dataSet === "cifar100";
}

/** @throws ConfigError unless {@link namesImages}; `example` is a command that would do. */
export function requireImages(
  options: { dataPath: string | null; dataSet: string },
  example = "deit train ./photos",
): void {
  if (namesImages(options)) return;
  throw new ConfigError("dataPath", "which images? Nothing was given for --data-path", {
    code: "data/not-named",
    hint: `Name a folder that has a folder of images per class: ${example}`,
  });
}

/** `runs/<dataset>-<model>`: the same command finds, and resumes, its own run. */
function defaultOutputDir({
  dataPath,
  dataSet,
  model,
}: {
  dataPath: string | null;
  dataSet: string;
  model: string;
}): string {
  const folder = dataPath
    ?.replace(/^memory:/, "")
    .split(/[/\\]/)
    .findLast((part) => part !== "" && part !== "." && part !== "..");
  return `runs/${dataSet.startsWith("cifar") ? dataSet : (folder ?? "images")}-${model}`;
}

/** Text of the command line as the value that its option's type expects; what cannot be read stays text. */
function readText(name: TrainOptionName, value: unknown): unknown {
  const { kind, nullable } = typeOf(trainSchema.shape[name]);
  if (typeof value === "string" && nullable && ["none", "null", ""].includes(value.toLowerCase()))
    return null;
  if (kind === "integer" || kind === "number") return readNumber(value);
  if (kind === "size") {
    const sides = (typeof value === "string" ? value.split(/[x×,]/) : [value]).map(readNumber);
    return sides.length === 1 ? sides[0] : sides;
  }
  if (kind !== "numbers") return value;
  const parts = Array.isArray(value) ? value : [value];
  return parts.flatMap((part) => (typeof part === "string" ? part.split(",") : [part])).map(readNumber);
}

function readNumber(value: unknown): unknown {
  if (typeof value !== "string" || value.trim() === "") return value;
  const [, numerator, denominator] = /^\s*(\d+)\/(\d+)\s*$/.exec(value) ?? [];
  const number = denominator === undefined ? Number(value) : Number(numerator) / Number(denominator);
  return Number.isNaN(number) ? value : number;
}

function spell(kebab: string, layer: Layer | undefined): string {
  return layer?.spelling === "flag" ? `--${kebab}` : camelCase(kebab);
}

function unknownOption(given: string, layer: Layer): ConfigError {
  const known = [...KNOWN_NAMES, ...Object.keys(MISSING_OPTIONS)];
  const hint = didYouMean(kebabCase(given), known, (name) => spell(name, layer));
  const shown = layer.spelling === "flag" ? `--${given}` : given;
  return new ConfigError(given, `unknown option ${shown} (${layer.source})`, {
    code: "options/unknown",
    hint: hint === "" ? "deit train --help lists every option." : hint,
  });
}

/** The first complaint of zod in the words of this project. */
function wrongValue(
  error: z.ZodError,
  values: Partial<Record<TrainOptionName, unknown>>,
  givenBy: Partial<Record<TrainOptionName, Layer>>,
): ConfigError {
  const issue = error.issues[0];
  const name = TRAIN_OPTION_NAMES.find((known) => known === issue?.path[0]);
  if (issue === undefined || name === undefined)
    return new ConfigError("options", error.message, { code: "options/value", cause: error });
  const layer = givenBy[name];
  const value = values[name];
  const text = typeof value === "string" ? value : "";
  const from = layer === undefined || layer.spelling === "flag" ? "" : ` (${layer.source})`;
  const hint =
    name === "device" && /^(?:gpu|graphics|nvidia|rocm|mps|metal|directml|vulkan)$/i.test(text)
      ? "For a graphics card: webgpu (any), or cuda (NVIDIA's, after deit doctor)."
      : issue.code === "invalid_value"
        ? didYouMean(text, issue.values.map(String))
        : "";
  const message = `${spell(kebabCase(name), layer)}: got ${shownValue(value)}, expected ${expected(name, issue)}${from}`;
  return new ConfigError(name, message, { code: "options/value", ...(hint === "" ? {} : { hint }) });
}

const COUNT_WORDS = ["no", "one", "two", "three"];

function expected(name: TrainOptionName, issue: z.core.$ZodIssue): string {
  const { kind, choices, nullable } = typeOf(trainSchema.shape[name]);
  const part = issue.path.length > 1 ? "numbers that are each " : "a number ";
  switch (issue.code) {
    case "too_small":
      if (issue.origin === "array") return numbers(issue.minimum);
      if (issue.origin === "string") return "some text";
      return `${part}${issue.inclusive === true ? "at least" : "above"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "array") return numbers(issue.maximum);
      return `${part}${issue.inclusive === true ? "at most" : "below"} ${issue.maximum}`;
    case "custom":
      return issue.message;
    default:
  }
  const words = {
    boolean: "true or false",
    integer: "a whole number",
    number: "a number",
    text: "text",
    choice: `one of ${choices.join(", ")}`,
    numbers: "a list of numbers",
    size: "a number of pixels such as 224, or height and width such as 160x224",
  };
  return words[kind] + (nullable ? " or none" : "");
}

function numbers(count: number | bigint): string {
  return `${COUNT_WORDS[Number(count)] ?? String(count)} numbers`;
}
