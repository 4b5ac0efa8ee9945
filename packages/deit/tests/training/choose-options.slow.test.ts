/** What training chooses when nobody says which model: from images, checkpoint, and the runs that are there. */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { finetune, openClassifier, resume, train } from "../../src/node.ts";
import { writeCheckpoint } from "../../src/formats/safetensors-file.ts";
import { createModel } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import type { TrainInput } from "../../src/config/schema.ts";
import type { ChosenOptions, ChooseRequest } from "../../src/training/choose-options.ts";
import { chooseOptions, isChosen } from "../../src/training/choose-options.ts";
import type { TrainEvent } from "../../src/training/train.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writePhotos } from "./photos.ts";

/** A run of about a second. */
const QUICK = { epochs: 1, device: "cpu", threads: 1, workers: 0, saveMinutes: null } as const;

let root = "";
let photos = "";
/** A run of 16 pixels. */
let tuned = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"));
  tuned = join(root, "tuned");
  const model = "deit_w64d4_patch4_32";
  await train({
    ...QUICK,
    dataPath: photos,
    model,
    inputSize: 16,
    repeatedAug: false,
    batchSize: 8,
    outputDir: tuned,
  });
});

test("a folder of runs is neither images nor a run, and is told which runs it has", async () => {
  await expect(
    chooseOptions({ source: root, given: { source: "test", spelling: "key", values: {} } }),
  ).rejects.toMatchObject({
    code: "run/folder-of-runs",
    message: expect.stringContaining(`${root} is a folder of runs: ${tuned}`),
    hint: expect.stringContaining("deit train "),
  });
});

const choose = async (
  values: TrainInput,
  request: Omit<ChooseRequest, "given"> = {},
): Promise<ChosenOptions> =>
  chooseOptions({ ...request, given: { source: "code", spelling: "key", values } });

describe("which model", () => {
  test("a folder of images: a first run", async () => {
    const chosen = await choose({}, { source: photos });
    expect(chosen.options).toMatchObject({ model: "deit_w128d6_patch4_32", finetune: null, mixup: 0 });
    expect(chosen.chosen[0]).toMatch(/^chosen for these images: deit_w128d6_patch4_32 at 32 pixels/);
    expect(isChosen(chosen)).toBe(true);
  });
  test("with a checkpoint, also where it is not called fine-tuning: the checkpoint's", async () => {
    for (const finetuning of [false, true]) {
      const chosen = await choose({ dataPath: photos, finetune: tuned }, { finetuning });
      expect(chosen.options).toMatchObject({
        model: "deit_w64d4_patch4_32",
        inputSize: [16, 16],
        layerDecay: 0.7,
      });
      expect(chosen.sources).toMatchObject({ model: "fine-tuning", finetune: "code" });
      expect(chosen.chosen[0]).toContain(`fine-tuning ${tuned}: deit_w64d4_patch4_32 at 16 × 16 pixels`);
    }
  });
  test("a named model or a recipe: DeiT's defaults", async () => {
    const named = await choose({ dataPath: photos, model: "deit_tiny_patch16_224" });
    const recipe = await choose({ dataPath: photos }, { source: "cifar10-deit" });
    for (const { chosen, options } of [named, recipe]) {
      expect(chosen).toEqual([]);
      expect(options.mixup).toBe(0.8);
    }
    expect(isChosen(named) || isChosen(recipe)).toBe(false);
  });
  test("what is given wins over what is chosen", async () => {
    const { options, sources } = await choose({ lr: 0.125, inputSize: 64 }, { source: photos });
    expect(options).toMatchObject({ lr: 0.125, inputSize: 64, unscaleLr: true });
    expect(sources).toMatchObject({ lr: "code", unscaleLr: "first run" });
  });
});

describe("the library", () => {
  test("train takes a checkpoint's model, says so, and begins with its weights", async () => {
    const events: TrainEvent[] = [];
    const onEvent = (event: TrainEvent): void => void events.push(event);
    const outputDir = join(root, "by-code");
    const { model } = await train({ ...QUICK, dataPath: photos, finetune: tuned, outputDir }, { onEvent });
    expect(model).toBe("deit_w64d4_patch4_32");
    expect(events.find(({ type }) => type === "note")).toMatchObject({
      message: expect.stringContaining(`fine-tuning ${tuned}`),
    });
  });
  test("weights of a model that is not registered are fine-tuned, also without their head", async () => {
    const model = createModel("vit_w64d1h1_patch4_16", { numClasses: 5 });
    const layout = modelLayout(model);
    const whole = unpackTensors(layout, initialVectors(layout, createRandom(0)));
    const headless = new Map([...whole].filter(([name]) => !name.startsWith("head.")));
    for (const [name, tensors] of Object.entries({ whole, headless })) {
      const file = join(root, `${name}.safetensors`);
      await writeCheckpoint(file, { tensors, metadata: {} });
      const outputDir = join(root, `${name}-tuned`);
      const result = await finetune({ ...QUICK, dataPath: photos, finetune: file, outputDir });
      expect(result.model).toBe(model.name);
      await using run = await openClassifier(outputDir, { device: "cpu" });
      expect(run.labels).toHaveLength(3);
    }
  });
  test("finetune is train from a checkpoint", async () => {
    const outputDir = join(root, "finetuned");
    const { model } = await finetune({ ...QUICK, dataPath: photos, finetune: tuned, outputDir });
    expect(model).toBe("deit_w64d4_patch4_32");
    expect(await argsOf(outputDir)).toMatchObject({ finetune: tuned, layerDecay: 0.7 });
  });
  test("resume makes a run longer, and says how", async () => {
    const run = join(root, "longer");
    await cp(tuned, run, { recursive: true });
    const events: TrainEvent[] = [];
    const { epochs, last } = await resume(
      run,
      { epochs: 3 },
      { onEvent: (event) => void events.push(event) },
    );
    expect([epochs, last.epoch]).toEqual([3, 2]);
    expect(events.filter(({ type }) => type === "note")).toMatchObject([
      { message: expect.stringMatching(/planned for 1 epoch: after 1 of them it continues to 3/) },
    ]);
    expect(await argsOf(run)).toMatchObject({ epochs: 3 });
    // the same again is complete, fewer is refused, and all else is compared as ever
    expect((await resume(run)).imagesPerSecond).toBe(0);
    await expect(resume(run, { epochs: 2 })).rejects.toMatchObject({ code: "run/epochs-passed" });
    await expect(resume(run, { lr: 1 })).rejects.toThrow(/lr: .* there, 1 given/);
    // a run's options for another folder are another run's
    const other = await choose({ epochs: 2, lr: 1, outputDir: `${run}-other` }, { source: run });
    expect(other).toMatchObject({ chosen: [], continues: false, options: { epochs: 2, lr: 1 } });
  });
});

async function argsOf(run: string): Promise<unknown> {
  const content = parse(await readFile(join(run, "args.yaml"), "utf8")) as { args: unknown };
  return content.args;
}

describe("the folder of a run", () => {
  let here = "";
  beforeEach(async () => {
    here = await temporaryFolder();
  });
  const BASE = "runs/photos-deit_w128d6_patch4_32";

  test("has a number where runs of other options are, and the same options find their own", async () => {
    const before = process.cwd();
    process.chdir(here);
    try {
      const input = { ...QUICK, dataPath: photos };
      const { run } = await train(input);
      expect(run).toBe(BASE);
      const notes: string[] = [];
      const longer = await train(
        { ...input, epochs: 2 },
        { onEvent: (event) => void (event.type === "note" && notes.push(event.message)) },
      );
      expect(longer.run).toBe(`${BASE}-2`);
      expect(notes.at(-1)).toBe(
        `${BASE} holds a run with other options (epochs: 1 there, 2 now): this one goes to ${BASE}-2`,
      );
      expect((await choose(input)).options.outputDir).toBe(BASE);
      expect((await choose({ ...input, epochs: 2, workers: 3 })).options.outputDir).toBe(`${BASE}-2`);
      expect((await choose({ ...input, epochs: 3 })).options.outputDir).toBe(`${BASE}-3`);
      // a folder of something else is left alone, one that never saved is taken
      await mkdir(`${BASE}-3`);
      await writeFile(join(`${BASE}-3`, "notes.txt"), "mine");
      expect((await choose({ ...input, epochs: 3 })).options.outputDir).toBe(`${BASE}-4`);
      expect(await readdir("runs")).toHaveLength(3);
    } finally {
      process.chdir(before);
    }
  });

  test("has a number where a complete run is of fewer images", async () => {
    const before = process.cwd();
    process.chdir(here);
    try {
      await cp(photos, "photos", { recursive: true });
      const input = { ...QUICK, dataPath: "photos" };
      await train(input);
      await cp(join("photos", "disc", "0.png"), join("photos", "disc", "more.png"));
      const { options, chosen } = await choose(input);
      expect(options.outputDir).toBe(`${BASE}-2`);
      expect(chosen.at(-1)).toBe(
        `${BASE} holds a complete run on other images (60 there, 61 now): this one goes to ${BASE}-2`,
      );
      expect((await train(input)).run).toBe(`${BASE}-2`);
      expect((await choose(input)).options.outputDir).toBe(`${BASE}-2`);
    } finally {
      process.chdir(before);
    }
  });

  test("that is named keeps its choice though images were added", async () => {
    const more = join(here, "photos");
    await cp(photos, more, { recursive: true });
    const outputDir = join(here, "run");
    await train({ ...QUICK, dataPath: more, outputDir, epochs: 1 });
    for (let i = 0; i < 4; i++) await cp(join(more, "disc", "0.png"), join(more, "disc", `more${i}.png`));
    const chosen = await choose({ dataPath: more, outputDir });
    expect(chosen.options).toMatchObject({ epochs: 1, outputDir });
    expect(chosen.chosen).toEqual([
      expect.stringMatching(/^as .*run began: deit_w128d6_patch4_32 at 32 pixels, 1 epoch /),
    ]);
    // and the same folder without a run gets the choice of today
    expect((await choose({ dataPath: more })).options.epochs).toBeGreaterThan(1);
  });
});
