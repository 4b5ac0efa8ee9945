/** A run's options beside their defaults, and the commands that make the run again. */
import { infoOf, OPTION_GROUPS } from "../config/option.ts";
import { TRAIN_OPTION_NAMES, trainSchema } from "../config/schema.ts";
import type { RunArgs, RunSession } from "../training/run/run-folder.ts";
import { short } from "./format.ts";

/** An option as the page shows it. */
export interface OptionRow {
  readonly name: string;
  readonly group: string;
  readonly value: string;
  /** The default, where the run has another value. */
  readonly standard?: string;
  /** What the option is about; nothing for options that this version does not know. */
  readonly help?: string;
}

/** The recorded options in the order of `deit train --help`; those of other versions last. */
export function optionRows(args: RunArgs): OptionRow[] {
  const known = TRAIN_OPTION_NAMES.filter((name) => name in args).map((name): OptionRow => {
    const type = trainSchema.shape[name];
    const { group, help, nullMeans = "none" } = infoOf(type);
    const show = (value: unknown): string => (value === null ? nullMeans : valueText(value));
    const standard: unknown = type.parse(undefined);
    const value = args[name] ?? null;
    // Every run has a folder: having one says nothing.
    const differs = name !== "outputDir" && JSON.stringify(value) !== JSON.stringify(standard);
    return { name, group, help, value: show(value), ...(differs && { standard: show(standard) }) };
  });
  const names = new Set<string>(TRAIN_OPTION_NAMES);
  const others = Object.entries(args).filter(([name]) => !names.has(name));
  const order = (group: string): number => OPTION_GROUPS.findIndex((known) => known === group);
  return [
    ...known.toSorted((a, b) => order(a.group) - order(b.group)),
    ...others.map(([name, value]) => ({ name, group: "Other versions", value: valueText(value) })),
  ];
}

/** The words of the command that began the run; undefined when it began in another program. */
export function startCommand(sessions: readonly RunSession[]): string[] | undefined {
  const words = sessions[0]?.command ?? [];
  return words[0] === "train" ? ["deit", ...words].map(shellWord) : undefined;
}

/** A word that a shell takes as it is. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueText).join(" ");
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : short(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
