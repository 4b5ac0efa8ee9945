/**
 * Writes packages/deit/src/config/train-input.ts: the options of training as a type whose keys have the schema's words, as
 * editors show them. Run it after a change of config/schema.ts: npm run types:options.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { OPTION_GROUPS, infoOf } from "../packages/deit/src/config/option.ts";
import { camelCase } from "../packages/deit/src/config/names.ts";
import { TRAIN_OPTION_NAMES, trainJsonSchema, trainSchema } from "../packages/deit/src/config/schema.ts";

export const TRAIN_INPUT_FILE = fileURLToPath(
  new URL("../packages/deit/src/config/train-input.ts", import.meta.url),
);

/** What of JSON Schema occurs in the options. */
interface JsonType {
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonType[];
  readonly prefixItems?: readonly JsonType[];
  readonly default?: unknown;
}

/** The file's content. */
export function trainInputSource(): string {
  const { properties } = trainJsonSchema() as { properties: Readonly<Record<string, JsonType>> };
  const groups = OPTION_GROUPS.map((group) => {
    const names = TRAIN_OPTION_NAMES.filter((name) => infoOf(trainSchema.shape[name]).group === group);
    const keys = names.map((name) => keyOf(name, properties[name] ?? {}));
    return `  // ${group}.\n${keys.join("\n")}`;
  });
  return `/** Made of schema.ts by scripts/generate-train-input.ts: do not edit. */

/** Options of training, by name; every one may be left out. */
// oxlint-disable-next-line typescript/consistent-type-definitions -- an interface is not a record of options
export type TrainInput = {
${groups.join("\n\n")}
};
`;
}

function keyOf(name: keyof typeof trainSchema.shape, json: JsonType): string {
  const { help, nullMeans } = infoOf(trainSchema.shape[name]);
  // In code, an option is called by its key.
  const words = help.replaceAll(/--(no-)?([a-z][a-z-]*[a-z])/g, (_, no: string | undefined, flag: string) =>
    no === undefined ? `\`${camelCase(flag)}\`` : `\`${camelCase(flag)}: false\``,
  );
  const value = json.default ?? null;
  const usual = value === null ? nullMeans : JSON.stringify(value);
  const sentence = `${words.charAt(0).toUpperCase()}${words.slice(1)}.${usual === undefined ? "" : ` Default: ${usual}.`}`;
  return `  /** ${sentence} */\n  readonly ${name}?: ${typeText(json)} | undefined;`;
}

function typeText({ type, enum: values, anyOf, prefixItems }: JsonType): string {
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (anyOf !== undefined) return anyOf.map(typeText).join(" | ");
  if (prefixItems !== undefined) return `readonly [${prefixItems.map(typeText).join(", ")}]`;
  const names = [type ?? "unknown"].flat().map((name) => (name === "integer" ? "number" : name));
  return names.join(" | ");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(TRAIN_INPUT_FILE, trainInputSource());
