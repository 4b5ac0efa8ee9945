/** `deit finetune` and `deit export` from end to end, on small generated images. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../data/temporary.ts";
import { tinyRun, train, writePhotos } from "../training/photos.ts";
import { runCommand as deit } from "./run-command.ts";

let root = "";
let photos = "";
let first = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  first = join(root, "first");
  await train(tinyRun({ dataPath: photos, outputDir: first, epochs: 2 }));
});

const QUICK = ["--epochs", "1", "--device", "cpu", "--threads", "1", "--workers", "0"];

describe("deit finetune", () => {
  it("chooses for checkpoint and images, and ends with a model, its report and its export", async () => {
    const out = join(root, "tuned");
    const {
      code,
      out: text,
      err,
    } = await deit(["finetune", photos, "--finetune", first, "--output-dir", out, "--json", ...QUICK]);
    expect(err).toContain(`fine-tuning ${first}: deit_w64d4_patch4_32 at 16 × 16 pixels, 1 epoch `);
    expect(code, err).toBe(0);
    const result: unknown = JSON.parse(text);
    expect(result).toMatchObject({
      run: out,
      model: "deit_w64d4_patch4_32",
      report: join(out, "report.html"),
      exported: join(out, "transformers-js"),
    });
    expect(await readdir(join(out, "transformers-js"))).toEqual(
      expect.arrayContaining(["README.md", "config.json", "onnx", "preprocessor_config.json"]),
    );

    const again = await deit(["finetune", out, "--no-export", "--json"]);
    expect(again.code, again.err).toBe(0);
    expect(again.err).toContain("this run is complete");
  });

  it("lets flags and recipes win", async () => {
    const { out } = await deit([
      "finetune",
      photos,
      "--finetune",
      first,
      "--lr",
      "0.125",
      "--print-config",
      "--json",
    ]);
    expect(JSON.parse(out)).toMatchObject({
      lr: { value: 0.125, source: "command line" },
      model: { value: "deit_w64d4_patch4_32", source: "fine-tuning" },
      layerDecay: { source: "fine-tuning" },
    });
  });

  it("says what is wrong with a checkpoint before anything is made", async () => {
    const out = join(root, "nothing");
    const missing = await deit([
      "finetune",
      photos,
      "--finetune",
      join(root, "no.safetensors"),
      "--output-dir",
      out,
    ]);
    expect(missing.code).toBe(1);
    expect(missing.err).toMatch(/^error: there is no checkpoint .*no\.safetensors/m);
    expect(await readdir(root)).not.toContain("nothing");
  });
});

describe("deit export", () => {
  it("writes one file, and says how it compares", async () => {
    const file = join(root, "model.onnx");
    const { code, out, err } = await deit(["export", first, "--format", "onnx", "--out", file]);
    expect(code, err).toBe(0);
    expect(out).toMatch(/^exported deit_w64d4_patch4_32 to .*model\.onnx\n/);
    expect(out).toMatch(
      /model\.onnx: top-1 \d+\.\d\d % \(\d+ of (\d+); 95 % interval \d+\.\d to \d+\.\d %\), agreement \1 of \1, logits within/,
    );
    const twice = await deit(["export", first, "--format", "onnx", "--out", file]);
    expect(twice.code).toBe(2);
    expect(twice.err).toMatch(/already exists\n.*--overwrite/);
  });

  it("wants --out for a file and --output-dir for a folder", async () => {
    const folder = await deit(["export", first, "--format", "onnx", "--output-dir", join(root, "x")]);
    expect([folder.code, folder.out]).toEqual([2, ""]);
    expect(folder.err).toContain("--format onnx makes a file");
    const file = await deit(["export", first, "--out", join(root, "x.onnx")]);
    expect(file.err).toContain("--format transformers-js makes a folder");
  });
});
