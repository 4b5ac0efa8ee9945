/** Workers start whatever flags their process was started with. */
import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { workerFlags } from "../../../src/data/loading/worker-flags.ts";
import { temporaryFolder, writeClasses } from "../temporary.ts";

const QUIET = "--disable-warning=ExperimentalWarning";

test("a worker gets the flags that say how modules are loaded, with their values", () => {
  const flags = ["--import", "./hook.js", "--conditions=development", "-C", "browser", "--no-warnings"];
  expect(workerFlags(flags)).toEqual([...flags, QUIET]);
  expect(
    workerFlags(["--expose-gc", "--import=a", "--max-old-space-size=64", "--title", "--import"]),
  ).toEqual(["--import=a", "--import", QUIET]);
  expect(workerFlags(["toString", "--input-type=module", "-e"])).toEqual([QUIET]);
});

describe("a loader with workers, in a process", () => {
  let code = "";
  beforeAll(async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { ant: 4, bee: 4 });
    const at = (file: string): string =>
      JSON.stringify(new URL(`../../../src/data/${file}.ts`, import.meta.url));
    code = `
      import { openDataset } from ${at("dataset")};
      import { workerPool } from ${at("loading/loader-pool")};
      import { createLoader } from ${at("loading/loader")};
      import { createPlan } from ${at("loading/epoch-plan")};
      const dataset = await openDataset({ kind: "folder", path: ${JSON.stringify(path)} });
      const plan = createPlan({ length: 8, batchSize: 4, mode: "train", seed: 0 });
      const transform = { mode: "train", size: [16, 16] };
      const loader = createLoader({ dataset, transform, plan, pool: workerPool(2) });
      let images = 0;
      for await (const { size } of loader.epoch(0)) images += size;
      await loader.close();
      console.log(images);`;
  });

  test.each([
    [["--expose-gc"]],
    [["--max-old-space-size=512"]],
    [["--stack-size=900", "--title=training", "--disable-warning=ExperimentalWarning"]],
    [["--expose-gc", "--conditions", "development"]],
  ])("with %j", (flags) => {
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, "--input-type=module", "-e", code], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(stdout.trim()).toBe("8");
  });
});
