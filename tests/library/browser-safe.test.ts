/** `deit-ts` runs in browsers: nothing that it loads, however far away, is Node's. */
import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SOURCES = fileURLToPath(new URL("../../src", import.meta.url));
/** Packages that know no Node. */
const PORTABLE = ["zod", "@bufbuild/protobuf", "@bufbuild/protobuf/codegenv2"];

/** What a module loads when it is loaded: types are gone by then. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replaceAll(/\/\*[^]*?\*\//g, "");
  const statements = text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm);
  const dynamic = text.matchAll(/\bimport\(\s*"([^"]+)"/g);
  return [...statements, ...dynamic].map(([, specifier = ""]) => specifier);
}

/** Every module that `entry` reaches, with the packages that each imports. */
function reach(entry: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const open = [resolve(SOURCES, entry)];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    const specifiers = importsOf(file);
    found.set(
      file,
      specifiers.filter((specifier) => !specifier.startsWith(".")),
    );
    for (const specifier of specifiers)
      if (specifier.startsWith(".")) open.push(resolve(dirname(file), specifier));
  }
  return found;
}

test("nothing that index.ts reaches imports from Node, or a package that might", () => {
  const modules = reach("index.ts");
  const names = [...modules.keys()].map((file) => relative(SOURCES, file));
  // The walk sees what it should: files far from the entry.
  for (const name of [
    "graph/ops/attention.ts",
    "graph/generated/onnx_pb.ts",
    "config/unsupported-options.ts",
  ])
    expect(names).toContain(name);
  const foreign = [...modules].flatMap(([file, packages]) =>
    packages.filter((name) => !PORTABLE.includes(name)).map((name) => `${relative(SOURCES, file)}: ${name}`),
  );
  expect(foreign).toEqual([]);
});

test("the walk finds Node where it is", () => {
  const packages = new Set([...reach("node.ts").values()].flat());
  expect([...packages].some((name) => name.startsWith("node:"))).toBe(true);
  expect([...packages].filter((name) => builtinModules.includes(name))).toEqual([]); // always spelled node:…
});
