/** The command line in this process: what it prints on which stream, and its exit codes. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { optionsToYaml } from "../../src/config/print.ts";
import { parseTrainOptions } from "../../src/config/resolve.ts";
import { runCommand as deit } from "./run-command.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "deit-cli-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("help", () => {
  it("deit train --help-all has groups, defaults and examples, and hides what is not there yet", async () => {
    const { code, out, err } = await deit(["train", "--help-all"]);
    expect([code, err]).toEqual([0, ""]);
    for (const part of [
      "Optimizer:\n",
      "--batch-size <N> ",
      "(default: 64)",
      "(default: 5e-4)",
      "Examples:\n",
    ]) {
      expect(out).toContain(part);
    }
    for (const part of ["--cosub", "--no-unscale-lr", "--num-workers"]) expect(out).not.toContain(part);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(84);
  });

  it.each(["train", "finetune"])("deit %s --help has the flags that matter most", async (command) => {
    const { code, out } = await deit([command, "--help"]);
    expect(code).toBe(0);
    const flags = [...out.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag);
    expect(flags.length).toBeLessThanOrEqual(18);
    for (const flag of ["--model", "--epochs", "--finetune", "--output-dir", "--help-all", "--help"])
      expect(flags).toContain(flag);
    expect(out).toContain("--help-all prints all of them");
    expect(out).toContain("Examples:\n");
    const all = (await deit([command, "--help-all"])).out;
    expect(all).not.toContain("most important flags");
    for (const flag of ["--mixup", "--clip-grad", ...flags]) expect(all).toContain(`${flag} `);
  });

  it("deit finetune --help shows its own defaults", async () => {
    const text = (await deit(["finetune", "--help-all"])).out.replaceAll(/\s+/g, " ");
    for (const [flag, standard] of [
      ["--model", "the checkpoint's"],
      ["--epochs", "3 to 20, by images and cores"],
      ["--lr", "5e-4"],
      ["--layer-decay", "0.7"],
      ["--aa", "none"],
      ["--repeated-aug", "false"],
      ["--scale", "0.35 1"],
      ["--opt", "adamw"], // as for deit train
    ] as const)
      expect(text).toMatch(
        new RegExp(` ${flag} (?:(?! --[\\w-]+ <).)*\\(default: ${standard.replaceAll(".", "\\.")}\\)`),
      );
  });

  it.each(["eval", "predict", "models", "data", "bench", "doctor"])(
    "deit %s --help works",
    async (command) => {
      const { code, out } = await deit([command, "--help"]);
      expect(code).toBe(0);
      expect(out).toContain(`Usage: deit ${command}`);
    },
  );
});

describe("wrong usage exits with 2, says how to fix it and shows no stack", () => {
  it.each([
    [["trian"], "unknown command 'trian'\n(Did you mean train?)"],
    [["train", "--epoch", "3"], "unknown option '--epoch'\n(Did you mean --epochs?)"],
    [["train", "--lr", "fast", "quickstart"], '--lr: got "fast", expected a number'],
    [["train", "--lr"], "argument missing"],
    [["train"], "which images?"],
    [["train", "quikstart"], "Did you mean quickstart?"],
    [
      ["train", "quickstart", "--inat-category", "family"],
      "--inat-category is not in this version; leave it out or pass --inat-category name",
    ],
    [["train", "cifar10-deit", "--aa", "rand-x3"], 'has the section "x3", which RandAugment does not have'],
    [["train", "cifar10-deit", "--batch-size", "63"], "a batch of 63 cannot be mixed"],
    [["train", "cifar10-deit", "--bce-loss"], "--bce-loss cannot be combined with label smoothing"],
    [["eval", "x.safetensors"], "which images?"],
    [["eval", "x.safetensors", "--batch-size", "0", "--data-path", "."], "--batch-size: got 0"],
    [["predict", "x.safetensors"], "missing required argument 'image'"],
    [["predict", "x", "a.jpg", "--topk", "0"], '--topk: got "0", expected a whole number'],
    [["models", "vgg"], "no model's name matches vgg"],
    [["bench", "data"], "which images?"],
    [["bench", "train", "--profile", "--steps-per-run", "2"], "--steps-per-run does not go with --profile"],
    [["train", "quickstart", "--device", "gpu"], "For a graphics card: webgpu"],
    [["train", "quickstart", "--three-augment", "--aa", "original"], "--three-augment and --aa original"],
    [
      ["train", "quickstart", "--model", "vit_base_patch16_224.augreg_in1k"],
      "vit_base_patch16_224 is the model",
    ],
    [["train", "quickstart", "--input-size", "17", "--print-config"], "17"],
    [["data", "pull", "cifar01"], "Did you mean cifar10?"],
  ])("deit %j", async (words, message) => {
    const { code, out, err } = await deit(words);
    expect(err).toContain(message);
    expect(err).toMatch(/^error: /);
    expect(err).toMatch(/^ +code: [a-z]+\/[a-z-]+$/m);
    expect(err).not.toMatch(/^ +at /m);
    expect([code, out]).toEqual([2, ""]);
  });
});

describe("deit train --print-config", () => {
  it("is YAML with the source of every value", async () => {
    const path = join(folder, "mine.yaml");
    await writeFile(path, "data-path: images\nlr: 0.002\nepochs: 5\n");
    const { code, out, err } = await deit([
      "train",
      path,
      "--print-config",
      "--epochs",
      "9",
      "--output_dir=here",
      "--pin-mem",
    ]);
    expect([code, err]).toEqual([
      0,
      "warning: --pin-mem changes nothing: there is no pinned memory to choose\n",
    ]);
    for (const line of [
      `lr: 0.002 # ${path}`,
      "epochs: 9 # command line",
      "outputDir: here # command line",
      "momentum: 0.9 # default",
    ]) {
      expect(out.split("\n")).toContain(line);
    }
  });

  it("is one JSON document with --json", async () => {
    const { code, out } = await deit(["train", "quickstart", "--print-config", "--json", "--no-unscale-lr"]);
    const values = JSON.parse(out) as Record<string, unknown>;
    expect(code).toBe(0);
    expect(values["unscaleLr"]).toEqual({ value: false, source: "command line" });
    expect(values["model"]).toMatchObject({ source: "recipes/quickstart.ts" });
  });

  it("takes a flag of several numbers, and a DeiT command line with what is not there switched off", async () => {
    const words =
      "--model deit_tiny_patch16_224 --data-set CIFAR --opt-betas 0.8 0.99 --mixup 0 --no-repeated-aug --num_workers 2".split(
        " ",
      );
    const { code, out } = await deit(["train", ...words, "--print-config", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      optBetas: { value: [0.8, 0.99] },
      workers: { value: 2 },
      dataSet: { value: "cifar100" },
      epochs: { value: 300 },
    });
  });

  it("continues a run folder with its own options", async () => {
    const path = join(folder, "moved");
    await mkdir(path);
    const args = optionsToYaml(parseTrainOptions({ dataPath: "images", lr: 0.5, outputDir: "elsewhere" }));
    await writeFile(join(path, "args.yaml"), `args:\n${args.replaceAll(/^(?=.)/gm, "  ")}sessions: []\n`);
    const { out } = await deit(["train", path, "--print-config", "--json"]);
    expect(JSON.parse(out)).toMatchObject({
      lr: { value: 0.5 },
      outputDir: { value: path },
      dataPath: { value: "images" },
    });
  });
});

it("deit train --json-schema is JSON", async () => {
  expect(JSON.parse((await deit(["train", "--json-schema"])).out)).toMatchObject({ type: "object" });
});

/** Two classes of plain images, red cats and blue dogs. */
async function makePhotos(): Promise<string> {
  const photos = join(folder, "photos");
  for (const [name, count, background] of [
    ["cat", 12, "red"],
    ["dog", 8, "blue"],
  ] as const) {
    await mkdir(join(photos, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const image = sharp({ create: { width: 90 + i, height: 60, channels: 3, background } });
      await image.png().toFile(join(photos, name, `${i}.png`));
    }
  }
  return photos;
}

describe("a folder of images", () => {
  it("is described by deit data info", async () => {
    const { code, out, err } = await deit(["data", "info", await makePhotos(), "--json"]);
    expect([code, err]).toEqual([0, ""]);
    const { images, validationImages, classes, medianSize } = JSON.parse(out) as {
      images: number;
      validationImages: number;
      classes: { name: string }[];
      medianSize: number;
    };
    expect([images + validationImages, medianSize, classes.map(({ name }) => name)]).toEqual([
      20,
      60,
      ["cat", "dog"],
    ]);
  });

  it("alone gets a small model and a short run; flags still win, a model brings back the reference's defaults", async () => {
    const photos = await makePhotos();
    const first = await deit(["train", photos, "--epochs", "3", "--print-config", "--json"]);
    expect(first.err).toMatch(/^chosen for these images: deit_w\d+d\d_patch4_32 at 64 pixels, 3 epochs/);
    expect(JSON.parse(first.out)).toMatchObject({
      dataPath: { value: photos, source: "command line" },
      model: { value: expect.stringMatching(/^deit_w\d+d\d_patch4_32$/), source: "first run" },
      inputSize: { value: 64, source: "first run" },
      epochs: { value: 3, source: "command line" },
    });
    const named = await deit([
      "train",
      photos,
      "--model",
      "deit_tiny_patch16_224",
      "--print-config",
      "--json",
    ]);
    expect(named.err).toBe("");
    expect(JSON.parse(named.out)).toMatchObject({
      epochs: { value: 300, source: "default" },
      inputSize: { value: null },
    });
  });

  it("that is not there is a failure, not a bug", async () => {
    const { code, err } = await deit(["data", "info", join(folder, "nowhere")]);
    expect(code).toBe(1);
    expect(err).toMatch(/^error: .*nowhere/);
    expect((await deit(["train", "--data-path", join(folder, "nowhere")])).code).toBe(1);
  });
});

describe("from images to predictions", () => {
  it("train, eval and predict each print one JSON document with the agreed keys", async () => {
    const photos = await makePhotos();
    const out = join(folder, "run");
    const options = [
      "--epochs",
      "2",
      "--input-size",
      "16",
      "--threads",
      "1",
      "--workers",
      "0",
      "--output-dir",
      out,
    ];
    const estimated = await deit(["train", photos, ...options, "--estimate", "--json"]);
    expect(estimated.code, estimated.err).toBe(0);
    expect(JSON.parse(estimated.out)).toMatchObject({
      steps: 4,
      stepsPerEpoch: 2,
      seconds: expect.any(Number),
    });

    const trained = await deit(["train", photos, ...options, "--json"]);
    expect(trained.code, trained.err).toBe(0);
    expect(JSON.parse(trained.out)).toMatchObject({
      run: out,
      epochs: 2,
      best: { acc1: expect.any(Number) },
      last: { epoch: 1 },
      seconds: expect.any(Number),
    });
    expect(trained.err).toMatch(/^epoch 2\/2 .*top-1/m);

    const again = await deit(["train", out]);
    expect([again.code, again.out.split("\n")[0]]).toEqual([
      0,
      expect.stringMatching(
        /: top-1 [\d.]+ % \(\d of 2; 95 % interval [\d.]+ to [\d.]+ %\) on held-out images/,
      ),
    ]);

    const evaluated = await deit(["eval", out, "--json"]);
    expect(evaluated.code, evaluated.err).toBe(0);
    expect(JSON.parse(evaluated.out)).toMatchObject({
      images: 2,
      acc1: expect.any(Number),
      heads: { class: { acc5: 100 } },
    });

    const predicted = await deit([
      "predict",
      out,
      join(photos, "cat/0.png"),
      join(photos, "dog/0.png"),
      "--topk",
      "1",
      "--json",
    ]);
    expect(predicted.code, predicted.err).toBe(0);
    expect(JSON.parse(predicted.out)).toMatchObject([
      { predictions: [{ label: expect.any(String), score: expect.any(Number) }] },
      { predictions: [{}] },
    ]);

    const other = await deit(["train", photos, ...options, "--lr", "0.1"]);
    expect([other.code, other.err]).toEqual([2, expect.stringContaining("lr")]);
  });
});

describe("deit models", () => {
  it("lists names and exact sizes", async () => {
    const { out, err } = await deit(["models", "tiny_patch16_224"]);
    expect(out).toMatch(/deit_tiny_patch16_224 +5,717,416/);
    expect(err).toBe("");
  });

  it("is one JSON document with --json", async () => {
    const models = JSON.parse((await deit(["models", "--json"])).out) as {
      name: string;
      parameters: number;
    }[];
    expect(models.find(({ name }) => name === "deit_tiny_patch16_224")?.parameters).toBe(5_717_416);
  });
});
