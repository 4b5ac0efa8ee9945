/** The documents say what is true: every file that they name exists. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

test.each(globSync(["*.md", "docs/**/*.md", "results/*.md"], { cwd: root }))(
  "%s names files that exist",
  (document) => {
    const text = readFileSync(`${root}/${document}`, "utf8");
    const named = text.match(/\b(?:src|tests|docs|results|bench|scripts|recipes)\/[\w./-]*\w/g) ?? [];
    expect(named.filter((file) => !existsSync(`${root}/${file}`))).toEqual([]);
  },
);
