/**
 * Flags made from the option schema: names, help, groups and defaults come from src/config/schema.ts, so that
 * the command line cannot disagree with recipes and the library. Values stay text here; resolve.ts reads them.
 */
import { Option } from "commander";
import type { Command } from "commander";
import { kebabCase } from "../config/names.ts";
import { MEANINGLESS_OPTIONS, MISSING_OPTIONS } from "../config/unsupported-options.ts";
import { infoOf, typeOf } from "../config/option.ts";
import { KNOWN_NAMES, resolveTrainOptions } from "../config/resolve.ts";
import type { GivenOptions, Layer } from "../config/resolve.ts";
import { trainSchema } from "../config/schema.ts";
import type { TrainOptionName } from "../config/schema.ts";

export interface SchemaFlagOptions {
  /** In the help's groups, or in one list. */
  readonly groups?: boolean;
  /** Whether defaults are shown: not for commands that take theirs from a checkpoint. */
  readonly defaults?: boolean;
  /** Defaults that are the command's own: values, or words for what it chooses. */
  readonly others?: Readonly<Partial<Record<TrainOptionName, unknown>>>;
}

/** Adds a flag for each named option. */
export function addSchemaFlags(
  command: Command,
  names: readonly TrainOptionName[],
  { groups = true, defaults = true, others = {} }: SchemaFlagOptions = {},
): void {
  for (const name of names) {
    const type = trainSchema.shape[name];
    const { kind } = typeOf(type);
    const info = infoOf(type);
    const flag = `--${kebabCase(name)}`;
    const value =
      kind === "boolean"
        ? ""
        : ` <${kind === "choice" ? "NAME" : (info.value ?? "VALUE")}${kind === "numbers" ? "..." : ""}>`;
    const shown = new Option(flag + value, describe(name, defaults, others[name]));
    command.addOption(groups ? shown.helpGroup(`${info.group}:`) : shown);
    if (kind === "boolean") command.addOption(new Option(`--no-${kebabCase(name)}`).hideHelp());
    for (const alias of info.aliases ?? []) command.addOption(new Option(`--${alias}${value}`).hideHelp());
  }
}

/** Adds the reference's other options, hidden, so that they are refused or passed over by name (unsupported-options.ts). */
export function addMissingFlags(command: Command): void {
  for (const [name, { boolean, list }] of Object.entries({ ...MISSING_OPTIONS, ...MEANINGLESS_OPTIONS })) {
    command.addOption(new Option(boolean ? `--${name}` : `--${name} <VALUE${list ? "..." : ""}>`).hideHelp());
    if (boolean) command.addOption(new Option(`--no-${name}`).hideHelp());
  }
}

/** The flags that were given, as a layer for resolveTrainOptions; those of the command itself are left out. */
export function flagLayer(command: Command): Layer {
  const known = (name: string): boolean =>
    KNOWN_NAMES.has(name) || name in MISSING_OPTIONS || name in MEANINGLESS_OPTIONS;
  const given = Object.entries(command.opts()).filter(([name]) => known(kebabCase(name)));
  return {
    source: "command line",
    spelling: "flag",
    values: Object.fromEntries(given.map(([name, value]) => [name, single(value)])),
  };
}

/**
 * The checked values of those of the named flags that were given, for commands with a few of the schema's options.
 * @throws ConfigError for a wrong value.
 */
export function givenOptions<Name extends TrainOptionName>(
  command: Command,
  names: readonly Name[],
): GivenOptions<Name> {
  const layer = flagLayer(command);
  const { options, sources } = resolveTrainOptions([layer]);
  const given: GivenOptions<Name> = {};
  for (const name of names) if (sources[name] === layer.source) given[name] = options[name];
  return given;
}

function single(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

function describe(name: TrainOptionName, defaults: boolean, other: unknown): string {
  const type = trainSchema.shape[name];
  const { choices } = typeOf(type);
  const { help, nullMeans } = infoOf(type);
  const value: unknown = other === undefined ? type.parse(undefined) : other;
  const numbers = (Array.isArray(value) ? value : [value]).map(exactText).join(" ");
  const shown = value === null ? nullMeans : numbers;
  const isLeftOut = (value === false && other === undefined) || !defaults || shown === undefined;
  const standard = isLeftOut ? "" : ` (default: ${shown})`;
  return (choices.length === 0 ? help : `${choices.join(" | ")}; ${help}`) + standard;
}

/** The shortest text that is read back as the very value: 5e-4, 0.99996, 4/3. */
function exactText(value: unknown): string {
  if (typeof value !== "number") return String(value);
  if (value > 0 && value < 1e-3) return value.toExponential();
  const divisor = [3, 6, 7, 9].find((candidate) => Math.round(value * candidate) / candidate === value);
  const isPlain = Number.isInteger(value) || divisor === undefined || String(value).length < 8;
  return isPlain ? String(value) : `${Math.round(value * divisor)}/${divisor}`;
}
