/** The documents say what is true: every file, command and flag that they name exists. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { loadLab } from "../packages/deit/src/cli/lab.ts";
import { createProgram, normaliseFlags } from "../packages/deit/src/cli/command-tree.ts";
import { ERROR_CODES } from "../packages/deit/src/error-codes.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const documents = globSync(["*.md", "packages/*/*.md", "docs/**/*.md", "results/*.md", "bench/peers/*.md"], {
  cwd: root,
});
const read = (file: string): string => readFileSync(`${root}/${file}`, "utf8");

test.each(documents)("%s names files that exist", (document) => {
  const named =
    read(document).match(/(?<![\w./-])(?:packages|tests|docs|results|bench|scripts)\/[\w./-]*\w/g) ?? [];
  const isBuilt = (file: string): boolean => file.endsWith("/dist");
  expect(
    named.filter((file) => !isBuilt(file) && !(file in ERROR_CODES) && !existsSync(`${root}/${file}`)),
  ).toEqual([]);
});

/** Links of a document to files of this repository, without code: [path, anchor]. */
function linksOf(text: string): [path: string, anchor: string][] {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`\n]*`/g, "code");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link): [string, string] => {
      const [path = "", anchor = ""] = link.split("#");
      return [path, anchor];
    });
}

/** Names of a document's headings, as GitHub and the site make anchors of them. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );

test.each(documents)("%s links to files and headings that exist", (document) => {
  const broken = linksOf(read(document)).filter(([path, anchor]) => {
    const file = path === "" ? document : posix.join(posix.dirname(document), path);
    return !existsSync(`${root}/${file}`) || (anchor !== "" && !anchorsOf(read(file)).includes(anchor));
  });
  expect(broken).toEqual([]);
});

test.each(["docs", "docs/decisions"])("%s/README.md leads to every document of its folder", (folder) => {
  const linked = linksOf(read(`${folder}/README.md`)).map(([path]) => path);
  const pages = globSync("*.md", { cwd: `${root}/${folder}` }).filter((page) => page !== "README.md");
  expect(pages.filter((page) => !linked.includes(page))).toEqual([]);
});

test("pages for tasks are short enough to be read", () => {
  const long = ["docs/api.md", "docs/errors.md", "docs/log.md"]; // references, and a record that grows
  const lines = documents
    .filter((document) => document.startsWith("docs/") && !long.includes(document))
    .map((document) => [document, read(document).split("\n").length] as const);
  expect(lines.filter(([, count]) => count > 200)).toEqual([]);
});

test("docs/errors.md has every error code with its meaning", () => {
  const rows = [...read("docs/errors.md").matchAll(/^\| `(.*)` \| (.*) \|$/gm)].map(([, code, meaning]) => [
    code,
    meaning,
  ]);
  expect(Object.fromEntries(rows)).toEqual(ERROR_CODES);
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
  const known = (command: Command): string[] => [
    ...command.options.map(({ long }) => long ?? ""),
    ...command.commands.flatMap(known),
  ];
  const ofOthers = ["--ignore-scripts", "--bind-to", "--map-by", "--allow-run-as-root"]; // npm, mpirun
  const flags = new Set(["--help", ...known(deit), ...ofOthers]);
  test.each(documents.filter((file) => /^docs\/[a-z-]+\.md$/.test(file) && file !== "docs/log.md"))(
    "%s: flags that stand alone are flags of some command",
    (file) => {
      const spans = [...read(file).matchAll(/`(--[a-z][^`\n]*)`/g)].map(([, span = ""]) => span);
      const shownFlags = flagsOf(spans.flatMap((span) => normaliseFlags(span.split(" "))));
      expect(shownFlags.filter((flag) => !flags.has(flag))).toEqual([]);
    },
  );
  const ofDeit = shown(/^(?:npx )?deit [a-z-]/);
  const ofScripts = shown(/^npx node /);

  test("and are found", () => {
    expect(ofDeit.length).toBeGreaterThan(100);
    expect(ofScripts.length).toBeGreaterThan(20);
  });
  test.each(ofDeit)("%s: %s", (_, line) => expect(missingOfDeit(line)).toEqual([]));
  test.each(ofScripts)("%s: %s", (_, line) => expect(missingOfScript(line)).toEqual([]));
});
