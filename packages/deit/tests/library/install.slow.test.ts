/**
 * The packed file in an empty project, installed by npm with no flags: nothing runs at installation, so that npm's registry is
 * all that has to answer; ONNX Runtime works, and the rest is small.
 */
import { execFile } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packProgram } from "../../../../scripts/pack.ts";
import { temporaryFolder } from "../data/temporary.ts";

const run = promisify(execFile);
const online = await run("npm", ["ping"]).then(
  () => true,
  () => false,
);

/** Megabytes of the files in a folder. */
function megabytes(folder: string): number {
  const sizes = globSync("**/*", { cwd: folder }).map((file) => statSync(join(folder, file)));
  return sizes.reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0) / 1e6;
}

test.skipIf(!online)(
  "deit-ts installs without scripts, runs, and is small",
  { timeout: 400_000 },
  async () => {
    const folder = await temporaryFolder();
    const file = await packProgram({ out: folder, platform: `${process.platform}-${process.arch}` });
    const app = join(folder, "app");
    await mkdir(app);
    await writeFile(join(app, "package.json"), '{"name":"app","private":true}');
    const npm = async (...words: string[]): Promise<string> => (await run("npm", words, { cwd: app })).stdout;
    await npm("install", "--prefer-offline", "--no-audit", "--no-fund", file);

    const selectors = ["preinstall", "install", "postinstall"].map((name) => `:attr(scripts, [${name}])`);
    expect(JSON.parse(await npm("query", selectors.join(", ")))).toEqual([]);

    const modules = join(app, "node_modules");
    const beside = [
      join(modules, "deit-ts/node_modules/onnxruntime-node"),
      join(modules, "sharp"),
      join(modules, "@img"),
    ];
    const size = megabytes(modules) - beside.reduce((sum, path) => sum + megabytes(path), 0);
    expect(size).toBeLessThan(60);
    expect(globSync("{vega,vega-lite,opentype.js,@fontsource}", { cwd: modules })).toEqual([]);

    const deit = join(modules, "deit-ts/bin/deit.js");
    const { stdout } = await run(process.execPath, [deit, "doctor", "--json"], { cwd: app });
    expect(JSON.parse(stdout)).toMatchObject({ auto: { device: "cpu" } });
  },
);
