/**
 * Whether a folder's run is one with the given options. Going on with others, or reporting it under others, would be a result
 * that nobody can repeat.
 */
import { basename, dirname, resolve } from "node:path";
import { resolveTrainOptions } from "../../config/resolve.ts";
import { MAY_DIFFER_ON_RESUME } from "../../config/schema.ts";
import { ConfigError } from "../../errors.ts";
import type { Json } from "./run-log.ts";

/** Options of a run by name, as args.yaml records them. */
export type RunArgs = Readonly<Record<string, Json>>;

export interface SameOptions {
  /** Names of options that do not decide the result (threads, workers, progress). */
  readonly mayDiffer?: readonly string[];
  /** What an option is in a run that does not name it: the run is older than the option. */
  readonly defaults?: Readonly<Record<string, unknown>>;
}

/** As training compares. */
export const SAME_TRAINING: SameOptions = {
  mayDiffer: MAY_DIFFER_ON_RESUME,
  defaults: resolveTrainOptions([]).options,
};

/** An option that is not what it was. */
export interface OptionDifference {
  readonly key: string;
  /** For people. */
  readonly there: string;
  readonly given: string;
  /** What makes it as it was: `--lr 0.0005`; empty where no flag does. */
  readonly flag: string;
}

export function differingOptions(
  there: RunArgs,
  given: RunArgs,
  { mayDiffer = [], defaults = {} }: SameOptions,
): OptionDifference[] {
  const before = { ...asJson(defaults), ...there };
  const keys = [...new Set([...Object.keys(there), ...Object.keys(given)])];
  return keys
    .filter((key) => !mayDiffer.includes(key))
    .filter((key) => canonical(compared(before, key)) !== canonical(compared(given, key)))
    .map((key) => ({
      key,
      there: shown(before[key]),
      given: shown(given[key]),
      flag: asFlag(key, before[key]),
    }));
}

/** @param hint how to go on */
export function otherOptions(
  path: string,
  differences: readonly OptionDifference[],
  hint: string,
): ConfigError {
  const lines = differences.map(({ key, there, given }) => `  ${key}: ${there} there, ${given} given`);
  return new ConfigError("outputDir", `${path} holds a run with other options:\n${lines.join("\n")}`, {
    code: "run/other-options",
    hint,
  });
}

/** `--lr 0.0005 --epochs 3`; undefined unless flags alone make everything as it was. */
export function flagsOf(differences: readonly OptionDifference[]): string | undefined {
  const flags = differences.map(({ flag }) => flag);
  return flags.includes("") ? undefined : flags.join(" ");
}

/** As JSON would give it back: no undefined, no functions, plain objects. */
export function asJson(args: Readonly<Record<string, unknown>>): RunArgs {
  return JSON.parse(JSON.stringify(args)) as RunArgs;
}

/**
 * Images are the same however their path is written. A teacher beside the run is the same one wherever the folder of both was
 * moved.
 */
function compared(args: RunArgs, key: string): Json | undefined {
  const { outputDir, [key]: value } = args;
  if (key === "dataPath" && typeof value === "string") return resolve(value);
  if (key !== "teacherPath" || typeof value !== "string" || typeof outputDir !== "string") return value;
  return dirname(value) === dirname(outputDir) ? `beside/${basename(value)}` : value;
}

function shown(value: Json | undefined): string {
  if (value === undefined) return "not set";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function asFlag(key: string, value: Json | undefined): string {
  const flag = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll("_", "-");
  if (typeof value === "boolean") return value ? `--${flag}` : `--no-${flag}`;
  return typeof value === "string" || typeof value === "number" ? `--${flag} ${value}` : "";
}

/** Equal for equal values, whatever the order of keys; "not set" is the same as null. */
function canonical(value: Json | undefined): string {
  return JSON.stringify(value ?? null, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
