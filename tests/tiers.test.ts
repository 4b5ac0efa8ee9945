/** Names of test files say how they run: vitest.config.ts goes by them. */
import { glob, readdir, readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";

const root = new URL("..", import.meta.url);
const names = await Array.fromAsync(
  glob(["tests/**/*.test.ts", "packages/*/tests/**/*.test.ts"], { cwd: root }),
);

describe("names of test files", () => {
  test("those that replace modules do not share theirs", async () => {
    const sharing = names.filter((name) => !/\.(?:slow|isolated)\.test\.ts$/.test(name));
    const replacing: string[] = [];
    for (const name of sharing)
      if (/^\s*vi\.(?:do)?[mM]ock\(/m.test(await readFile(new URL(name, root), "utf8"))) replacing.push(name);
    expect(sharing.length).toBeGreaterThan(100);
    expect(replacing).toEqual([]);
  });

  test("every layer of the package has fast tests", async () => {
    const source = await readdir(new URL("packages/deit/src", root), { withFileTypes: true });
    const layers = source.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const isTested = (layer: string, fast: boolean): boolean =>
      names.some(
        (name) =>
          name.startsWith(`packages/deit/tests/${layer}/`) && !(fast && name.endsWith(".slow.test.ts")),
      );
    expect(layers.length).toBeGreaterThan(15);
    expect(layers.filter((layer) => isTested(layer, false) && !isTested(layer, true))).toEqual([]);
  });
});
