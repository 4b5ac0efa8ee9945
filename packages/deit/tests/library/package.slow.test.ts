/**
 * The package as its users get it: packed, unpacked into an empty TypeScript project, type-checked, and run as
 * plain JavaScript with the example of the README. Built into a folder of its own, so that dist/ stays as it is.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { Manifest } from "../../../../scripts/pack.ts";
import { stageProgram } from "../../../../scripts/pack.ts";
import { VERSION } from "../../src/version.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writePhotos } from "../training/photos.ts";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const require = createRequire(import.meta.url);
const TSC = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
const run = promisify(execFile);

/** The block of README.md between its markers. */
async function readmeExample(): Promise<string> {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const block = /<!-- library example -->\s*```ts\n([^]*?)```\s*<!-- \/library example -->/.exec(readme)?.[1];
  if (block === undefined) throw new Error("README.md has no library example between its markers");
  return block;
}

let app = "";
let manifest: Manifest;
/** Files in the tarball. */
let packed: readonly string[] = [];
beforeAll(async () => {
  const folder = await temporaryFolder();
  app = join(folder, "app");
  const stage = join(folder, "stage");
  await mkdir(stage);
  manifest = await stageProgram(stage);
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
    cwd: stage,
  });
  const [pack] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  packed = pack.files.map(({ path }) => path);

  // An installation without the network: the tarball unpacked, its dependencies linked to those of this repository.
  const modules = join(app, "node_modules");
  await mkdir(join(modules, "deit-ts"), { recursive: true });
  await run("tar", [
    "-xzf",
    join(folder, pack.filename),
    "--strip-components=1",
    "-C",
    join(modules, "deit-ts"),
  ]);
  for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(ROOT, "node_modules", name), join(modules, name), "junction");
  }
  await writeFile(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  const compilerOptions = {
    target: "es2022",
    module: "nodenext",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    outDir: "out",
    rootDir: ".",
  };
  await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
}, 120_000);

test("VERSION is the package's", () => {
  expect(VERSION).toBe(manifest.version);
});

test("the tarball holds plain JavaScript with its declarations, and no sources or tests", () => {
  for (const file of [
    "dist/index.js",
    "dist/index.d.ts",
    "dist/node.js",
    "dist/node.d.ts",
    "dist/graph-node.d.ts",
    "dist/cli/main.js",
    "README.md",
  ]) {
    expect(packed).toContain(file);
  }
  // Files that are started by their path, not imported.
  for (const file of [
    "dist/data/loading/loader-worker.js",
    "dist/runtime/session-worker.js",
    "dist/runtime/probe-child.js",
    "recipes/quickstart.ts",
  ]) {
    expect(packed).toContain(file);
  }
  const sources = packed.filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".d.ts") && !file.startsWith("recipes/"),
  );
  expect(sources).toEqual([]);
  expect(packed.filter((file) => !file.startsWith("docs/") && /test|golden/.test(file))).toEqual([]);
});

test("it has what its README links to", async () => {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const linked = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, file = ""]) => file);
  expect(linked.length).toBeGreaterThan(10);
  expect(linked.filter((file) => !packed.includes(file))).toEqual([]);
});

describe("in an empty TypeScript project", () => {
  test("the example of the README type-checks, trains and predicts", { timeout: 120_000 }, async () => {
    await writeFile(join(app, "main.ts"), await readmeExample());
    await writePhotos(join(app, "photos"), { perClass: 30 });
    await cp(join(app, "photos/disc/0.png"), join(app, "cat.jpg"));
    await run(process.execPath, [TSC, "-p", app]).catch(showOutput);
    const { stdout } = await run(process.execPath, [join(app, "out/main.js")], { cwd: app });
    expect(stdout).toMatch(
      /^top-1 on held-out images: \d+ of 9\n\{ index: \d, label: '(disc|ring|stripes)', score: 0\.\d+ \}\n$/,
    );
    expect(await readdir(join(app, "runs/photos"))).toContain("best.safetensors");
  });

  test("the command line runs from node_modules, with loader workers", { timeout: 120_000 }, async () => {
    await writePhotos(join(app, "images"), { perClass: 10 });
    const main = join(app, "node_modules/deit-ts/dist/cli/main.js");
    const deit = async (...words: string[]): Promise<string> =>
      (await run(process.execPath, [main, ...words], { cwd: app })).stdout;
    expect(await deit("--version")).toBe(`${manifest.version}\n`);
    const options = [
      "--epochs",
      "2",
      "--input-size",
      "16",
      "--threads",
      "1",
      "--workers",
      "2",
      "--output-dir",
      "runs/cli",
      "--json",
    ];
    expect(JSON.parse(await deit("train", "./images", ...options))).toMatchObject({
      epochs: 2,
      last: { epoch: 1 },
    });
    await expect(deit("bench", "train", "--rounds", "1")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not installed\n {2}npm install deit-ts-lab\n {2}code: lab\/missing/),
    });
    // A recipe of the package, whose types Node does not strip there.
    expect(JSON.parse(await deit("train", "quickstart", "--print-config", "--json"))).toMatchObject({
      model: { source: expect.stringContaining("quickstart") },
    });
  });

  test("the browser-safe part type-checks without Node's types, and differentiates", async () => {
    const web = join(app, "web");
    await mkdir(web);
    const lib = ["es2024", "dom"];
    const settings = {
      target: "es2022",
      module: "esnext",
      moduleResolution: "bundler",
      lib,
      types: [],
      strict: true,
      skipLibCheck: false,
      outDir: "out",
    };
    await writeFile(
      join(web, "tsconfig.json"),
      JSON.stringify({ compilerOptions: settings, include: ["*.ts"] }),
    );
    await writeFile(
      join(web, "browser.ts"),
      `import { compile, gradient, input, interpret, ops } from "deit-ts/graph";
       import type { Program, Value } from "deit-ts/graph";
       import { createModel } from "deit-ts/models";
       const x: Value = input("x", "float32", [3]);
       const [slope] = gradient(ops.sum(ops.mul(x, x)), [x]);
       if (slope === undefined) throw new Error("no gradient");
       const program: Program = compile({ name: "slope", target: "cpu", outputs: { slope } });
       console.log(JSON.stringify([
         Array.from(interpret([slope], { x: [1, 2, 3] })[0] ?? []), program.model.length > 0,
         createModel("deit_tiny_patch16_224").parameters.length,
       ]));\n`,
    );
    await run(process.execPath, [TSC, "-p", web]).catch(showOutput);
    const { stdout } = await run(process.execPath, [join(web, "out/browser.js")], { cwd: app });
    expect(JSON.parse(stdout)).toEqual([[2, 4, 6], true, 152]);
  });

  test("what trains in a browser type-checks without Node's types, and loads", async () => {
    const page = join(app, "page");
    await mkdir(page);
    const settings = {
      target: "es2022",
      module: "nodenext",
      lib: ["es2024", "esnext.disposable", "dom"],
      types: [],
      strict: true,
      skipLibCheck: false,
      outDir: "out",
    };
    await writeFile(
      join(page, "tsconfig.json"),
      JSON.stringify({ compilerOptions: settings, include: ["*.ts"] }),
    );
    await writeFile(
      join(page, "page.ts"),
      `import { connect, createLoaders, fit, imagesInMemory, parseTrainOptions, planTraining, runInMemory } from "deit-ts/web";
       import type { RunStore, SessionPort } from "deit-ts/web";
       const run: RunStore = runInMemory({ name: "page" });
       const open = (port: SessionPort) => connect(port, { device: "cpu", target: "cpu", threads: 1, reason: "", profile: undefined });
       const image = { width: 1, height: 1, data: new Uint8Array(3) };
       const images = imagesInMemory({ name: "mine", classes: ["a"], images: [{ name: "1", label: 0, image }] });
       const plan = planTraining(parseTrainOptions({ dataPath: "none", epochs: 3 }));
       console.log(JSON.stringify([run.path, images.length, plan.loop.epochs, [open, fit, createLoaders].map((f) => typeof f)]));\n`,
    );
    await run(process.execPath, [TSC, "-p", page]).catch(showOutput);
    const { stdout } = await run(process.execPath, [join(page, "out/page.js")], { cwd: app });
    expect(JSON.parse(stdout)).toEqual(["page", 1, 3, ["function", "function", "function"]]);
  });
});

/** A compiler says what is wrong on stdout. */
function showOutput(error: unknown): never {
  throw error instanceof Error && "stdout" in error
    ? new Error(String(error.stdout), { cause: error })
    : error;
}
