/**
 * Writes docs/api.md: every name of the package's entries with its declaration and its words, from the sources; and the table
 * of error codes in docs/errors.md. (TypeDoc and
 * API Extractor need the API of a JavaScript compiler, which TypeScript 7 does not have.) Run it after a change of an entry:
 * npm run docs:api.
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseAst } from "rolldown/parseAst";
import { ERROR_CODES } from "../packages/deit/src/error-codes.ts";

const SOURCES = new URL("../packages/deit/src/", import.meta.url);
export const API_FILE = fileURLToPath(new URL("../docs/api.md", import.meta.url));

export const ERRORS_FILE = fileURLToPath(new URL("../docs/errors.md", import.meta.url));

/** Entries, and whether types are shown whole. */
const ENTRIES = [
  ["deit-ts", "index.ts", true],
  ["deit-ts/graph", "graph-node.ts", false],
  ["deit-ts/models", "models.ts", false],
  ["deit-ts/data", "data.ts", false],
] as const;

interface Found {
  /** The comment's text. */
  readonly words: string;
  /** Without a function's or method's body. */
  readonly code: string;
  readonly isType: boolean;
}

/** What of the syntax tree is read here. */
interface Syntax {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly id?: { readonly name: string } | null;
  readonly name?: string;
  readonly declarations?: readonly Syntax[];
  readonly declaration?: Syntax | null;
  readonly body?: Syntax | readonly Syntax[] | null;
  readonly source?: { readonly value: string } | null;
  readonly exported?: Syntax | null;
  readonly local?: Syntax;
  readonly specifiers?: readonly Syntax[];
}

const files = new Map<string, Promise<{ text: string; body: readonly Syntax[] }>>();

async function read(file: URL): Promise<{ text: string; body: readonly Syntax[] }> {
  const known = files.get(file.href);
  if (known !== undefined) return known;
  const made = readFile(file, "utf8").then((text) => ({
    text,
    body: parseAst(text, { lang: "ts" }).body as unknown as readonly Syntax[],
  }));
  files.set(file.href, made);
  return made;
}

/** A name's declaration in a file, or where that has it from. */
async function find(name: string, file: URL): Promise<Found | undefined> {
  const { text, body } = await read(file);
  for (const node of body) {
    const { declaration, source, specifiers = [] } = node;
    const own = declaration?.declarations?.[0] ?? declaration;
    if (declaration && own?.id?.name === name) return described(text, node, declaration);
    if (!source?.value.startsWith(".")) continue;
    const from = new URL(source.value, file);
    const specifier = specifiers.find(({ exported }) => exported?.name === name);
    const found =
      specifier !== undefined
        ? await find(specifier.local?.name ?? name, from)
        : node.type === "ExportAllDeclaration" && !node.exported
          ? await find(name, from)
          : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function described(text: string, node: Syntax, declaration: Syntax): Found {
  const before = text.slice(0, node.start).trimEnd();
  const at = before.lastIndexOf("/**");
  const comment = before.endsWith("*/") && at >= 0 ? before.slice(at + 3, -2) : "";
  const words = comment.replaceAll(/^ *\* ?/gm, "").trim();
  const isFunction = declaration.type === "FunctionDeclaration";
  const body = declaration.body as Syntax | undefined;
  const isType = /^TS(?:Interface|TypeAlias)/.test(declaration.type);
  const end = isFunction && body ? body.start : declaration.end;
  const whole = text.slice(declaration.start, end).trim();
  const code =
    declaration.type === "ClassDeclaration"
      ? whole.slice(0, whole.indexOf("{")).trim()
      : declaration.type === "VariableDeclaration"
        ? (whole.split(" = ", 1)[0] ?? whole)
        : whole;
  return { words, code, isType };
}

/** Names that a file exports, in order. */
async function exportsOf(file: URL): Promise<string[]> {
  const { body } = await read(file);
  const names: string[] = [];
  for (const { specifiers = [], type, source, exported } of body) {
    if (type === "ExportAllDeclaration" && exported?.name !== undefined) names.push(exported.name);
    else if (type === "ExportAllDeclaration" && source)
      names.push(...(await exportsOf(new URL(source.value, file))));
    names.push(...specifiers.flatMap((specifier) => specifier.exported?.name ?? []));
  }
  return names;
}

/** The part of docs/api.md that is made here: all after its marker. */
export async function apiReference(): Promise<string> {
  const parts: string[] = [];
  for (const [entry, name, isWhole] of ENTRIES) {
    const file = new URL(name, SOURCES);
    const types: string[] = [];
    parts.push(`## ${entry}`);
    for (const exported of await exportsOf(file)) {
      if (exported === "ops") {
        const operations = await exportsOf(new URL("graph/ops.ts", SOURCES));
        parts.push(`### ops`, `Operations: ${operations.map((each) => `\`${each}\``).join(", ")}.`);
        continue;
      }
      const found = await find(exported, file);
      if (found === undefined) throw new Error(`${entry}: ${exported} has no declaration`);
      if (found.isType && !isWhole) types.push(`\`${exported}\``);
      else
        parts.push(
          `### ${exported}`,
          `\`\`\`ts\n${found.code}\n\`\`\``,
          ...(found.words ? [found.words] : []),
        );
    }
    if (types.length > 0) parts.push(`Types: ${types.join(", ")}.`);
  }
  return `${parts.join("\n\n")}\n`;
}

const ERRORS_HEAD = "| code | meaning |\n|---|---|\n";

/** The rows of the table of docs/errors.md. */
const errorRows = (): string =>
  Object.entries(ERROR_CODES)
    .map(([code, meaning]) => `| \`${code}\` | ${meaning} |\n`)
    .join("");

export const MARKER = "<!-- made by scripts/api-reference.ts -->\n\n";

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [hand = ""] = (await readFile(API_FILE, "utf8")).split(MARKER, 1);
  await writeFile(API_FILE, hand + MARKER + (await apiReference()));
  const [aboutErrors = ""] = (await readFile(ERRORS_FILE, "utf8")).split(ERRORS_HEAD, 1);
  await writeFile(ERRORS_FILE, aboutErrors + ERRORS_HEAD + errorRows());
}
