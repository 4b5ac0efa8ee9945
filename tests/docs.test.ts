/** The documents say what is true: every file, command and flag that they name exists. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { loadLab } from "../packages/deit/src/cli/lab.ts";
import { createProgram, normaliseFlags } from "../packages/deit/src/cli/command-tree.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const documents = globSync(["*.md", "packages/*/*.md", "docs/**/*.md", "results/*.md", "bench/peers/*.md"], {
  cwd: root,
});
const read = (file: string): string => readFileSync(`${root}/${file}`, "utf8");

test.each(documents)("%s names files that exist", (document) => {
  const named =
    read(document).match(/(?<![\w./-])(?:packages|tests|docs|results|bench|scripts)\/[\w./-]*\w/g) ?? [];
  const isBuilt = (file: string): boolean => file.endsWith("/dist");
  expect(named.filter((file) => !isBuilt(file) && !existsSync(`${root}/${file}`))).toEqual([]);
});

/** Command lines in code: spans, indented lines of Markdown and of the comments that open recipes and scripts. */
function commandLines(text: string, start: RegExp): string[] {
  const joined = text.replaceAll(/\\\n[ *]*/g, "");
  const code = [...joined.matchAll(/`([^`\n]+)`|^(?: {4}| \* {3,})(.*)$/gm)].map(
    ([, span, line]) => span ?? line ?? "",
  );
  return code.flatMap((line) => line.split(/ {3,}|; | && /)).filter((line) => start.test(line));
}

/** Words of a command line that are flags, without their values. */
function flagsOf(words: readonly string[]): string[] {
  return words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.replace(/[=,;.)].*$/, ""));
}

const deit = createProgram(await loadLab());

/** What `deit WORDS` lacks: the command, or flags that it does not know. */
function missingOfDeit(line: string): string[] {
  const words = normaliseFlags(line.replace(/^(?:npx )?deit /, "").split(" "));
  let command: Command = deit;
  for (const word of words) {
    const name = word.split("\\|")[0]; // train\|infer, in a table
    const next = command.commands.find((candidate) => candidate.name() === name);
    if (next === undefined) break;
    command = next;
  }
  if (command === deit && !words[0]?.startsWith("-")) return [`no command ${words[0]}`];
  const known = new Set(["--help", "--version", ...command.options.map(({ long }) => long)]);
  return flagsOf(words).filter((flag) => !known.has(flag));
}

/** What `npx node SCRIPT WORDS` lacks: the file, or flags of which it says nothing. */
function missingOfScript(line: string): string[] {
  const [script = "", ...words] = line.replace(/^npx node (?:--conditions=\S+ )?/, "").split(" ");
  if (!existsSync(`${root}/${script}`)) return [`no file ${script}`];
  if (script === "packages/deit/src/cli/main.ts") return [];
  return flagsOf(words).filter((flag) => !new RegExp(`\\b"?${flag.slice(2)}"?: `).test(read(script)));
}

describe("commands have the flags that they are shown with", () => {
  const texts = [
    ...documents,
    ...globSync(
      [
        "packages/deit/recipes/*.ts",
        "packages/lab/{studies,src/tables}/*.ts",
        "scripts/*.ts",
        "bench/**/*.ts",
      ],
      { cwd: root },
    ),
  ];
  const shown = (start: RegExp): [file: string, line: string][] =>
    texts.flatMap((file) => commandLines(read(file), start).map((line): [string, string] => [file, line]));
  const ofDeit = shown(/^(?:npx )?deit [a-z-]/);
  const ofScripts = shown(/^npx node /);

  test("and are found", () => {
    expect(ofDeit.length).toBeGreaterThan(100);
    expect(ofScripts.length).toBeGreaterThan(20);
  });
  test.each(ofDeit)("%s: %s", (_, line) => expect(missingOfDeit(line)).toEqual([]));
  test.each(ofScripts)("%s: %s", (_, line) => expect(missingOfScript(line)).toEqual([]));
});
