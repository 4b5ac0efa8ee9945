import { describe, expect, it } from "vitest";
import { parseTrainOptions, resolveTrainOptions } from "../../src/config/resolve.ts";
import type { Layer } from "../../src/config/resolve.ts";
import { ConfigError } from "../../src/errors.ts";

function flags(values: Record<string, unknown>): Layer {
  return { source: "command line", spelling: "flag", values };
}
function recipe(values: Record<string, unknown>): Layer {
  return { source: "my.yaml", spelling: "key", values };
}
function messageOf(layer: Layer): string {
  try {
    resolveTrainOptions([layer]);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^options\/(?:unknown|value|not-supported)$/),
    });
    return String(error instanceof Error && error.message);
  }
  throw new Error(`accepted ${JSON.stringify(layer.values)}`);
}

describe("precedence", () => {
  it("is defaults, then recipe, then flags, and knows the source of each value", () => {
    const { options, sources } = resolveTrainOptions([
      recipe({ lr: 0.002, epochs: 7 }),
      flags({ lr: "0.003" }),
    ]);
    expect([options.lr, options.epochs, options.weightDecay]).toEqual([0.003, 7, 0.05]);
    expect([sources.lr, sources.epochs, sources.weightDecay]).toEqual(["command line", "my.yaml", "default"]);
  });

  it("keeps the reference's defaults", () => {
    const { options } = resolveTrainOptions([]);
    expect(options).toMatchObject({
      model: "deit_base_patch16_224",
      batchSize: 64,
      epochs: 300,
      opt: "adamw",
      optEps: 1e-8,
      optBetas: [0.9, 0.999],
      clipGrad: null,
      momentum: 0.9,
      weightDecay: 0.05,
      sched: "cosine",
      schedUnit: "epoch",
      lr: 5e-4,
      unscaleLr: false,
      warmupLr: 1e-6,
      minLr: 1e-5,
      warmupEpochs: 5,
      dropPath: 0.1,
      smoothing: 0.1,
      trainInterpolation: "bicubic",
      evalCropRatio: 0.875,
      seed: 0,
    });
  });

  it("never lets an absent flag hide a recipe's value", () => {
    expect(resolveTrainOptions([recipe({ lr: 0.002 }), flags({ lr: undefined })]).options.lr).toBe(0.002);
  });

  it("shares no arrays with layers or defaults", () => {
    const layer = recipe({ ratio: [0.5, 1] });
    const { options } = resolveTrainOptions([layer]);
    options.ratio[0] = options.scale[0] = options.mean[0] = 0.1;
    expect(layer.values["ratio"]).toEqual([0.5, 1]);
    expect(resolveTrainOptions([]).options).toMatchObject({ scale: [0.08, 1], mean: [0.485, 0.456, 0.406] });
  });
});

describe("spellings", () => {
  it.each(["dropPath", "drop-path", "drop_path"])("%s is one option", (name) => {
    expect(resolveTrainOptions([recipe({ [name]: 0.25 })]).options.dropPath).toBe(0.25);
  });

  it("knows DeiT's names for workers and datasets", () => {
    const { options } = resolveTrainOptions([flags({ num_workers: "3", "data-set": "CIFAR" })]);
    expect([options.workers, options.dataSet]).toEqual([3, "cifar100"]);
    expect(resolveTrainOptions([flags({ "data-set": "IMNET" })]).options.dataSet).toBe("folder");
  });

  it("reads numbers, lists and none from the text of flags", () => {
    const { options } = resolveTrainOptions([
      flags({
        lr: "1e-3",
        "opt-betas": ["0.9", "0.95"],
        scale: "0.2,0.8",
        "clip-grad": "None",
        threads: "2",
      }),
    ]);
    expect(options).toMatchObject({
      lr: 1e-3,
      optBetas: [0.9, 0.95],
      scale: [0.2, 0.8],
      clipGrad: null,
      threads: 2,
    });
  });
});

describe("errors", () => {
  it.each([
    [flags({ epoch: "3" }), "unknown option --epoch (command line)\nDid you mean --epochs?"],
    [recipe({ batch_sizes: 3 }), "unknown option batch_sizes (my.yaml)\nDid you mean batchSize?"],
    [recipe({ zzzzzz: 3 }), "unknown option zzzzzz (my.yaml)\ndeit train --help lists every option."],
    [flags({ lr: "fast" }), '--lr: got "fast", expected a number'],
    [flags({ lr: "" }), '--lr: got "", expected a number'],
    [flags({ lr: "-1" }), "--lr: got -1, expected a number above 0"],
    [flags({ "batch-size": "1.5" }), "--batch-size: got 1.5, expected a whole number"],
    [flags({ epochs: "0" }), "--epochs: got 0, expected a number at least 1"],
    [flags({ smoothing: "1" }), "--smoothing: got 1, expected a number below 1"],
    [flags({ "opt-betas": "0.9" }), "--opt-betas: got [0.9], expected two numbers"],
    [flags({ mean: ["1", "x", "3"] }), '--mean: got [1,"x",3], expected a list of numbers'],
    [flags({ scale: "1,0.1" }), "--scale: got [1,0.1], expected the smaller number first"],
    [
      flags({ opt: "adam" }),
      '--opt: got "adam", expected one of adamw, lamb, sgd, momentum\nDid you mean adamw?',
    ],
    [recipe({ lr: "1e-3" }), 'lr: got "1e-3", expected a number (my.yaml)'],
    [recipe({ model: 3 }), "model: got 3, expected text (my.yaml)"],
    [recipe({ unscaleLr: "yes" }), 'unscaleLr: got "yes", expected true or false (my.yaml)'],
    [recipe({ epochs: Number.NaN }), "epochs: got NaN, expected a whole number (my.yaml)"],
    [recipe({ lr: Number.POSITIVE_INFINITY }), "lr: got Infinity, expected a number (my.yaml)"],
    [recipe({ batchSize: null }), "batchSize: got null, expected a whole number (my.yaml)"],
  ])("%o", (layer, message) => {
    expect(messageOf(layer)).toBe(message);
  });

  it("a file cannot reach the prototype", () => {
    const layer = recipe(JSON.parse('{"__proto__": {"lr": 1}, "constructor": 1}') as Record<string, unknown>);
    expect(messageOf(layer)).toContain("unknown option");
  });
});

describe("options of the reference that are not in this version", () => {
  it.each([
    { cosub: false, "attn-only": false, resplit: false },
    { "distillation-type": "none", "teacher-model": "", "lr-noise": "None" },
    { "train-mode": true, "start-epoch": "0" },
  ])("%o says off and is accepted", (values) => {
    expect(resolveTrainOptions([flags(values)]).notes).toEqual([]);
  });

  it.each([
    [
      flags({ "attn-only": true }),
      "--attn-only is not in this version; leave it out or pass --no-attn-only\nUse: --trainable attention",
    ],
    [
      flags({ "inat-category": "family" }),
      "--inat-category is not in this version; leave it out or pass --inat-category name",
    ],
    [recipe({ cosub: true }), "cosub is not in this version; leave it out or write cosub: false"],
    [
      flags({ eval: true }),
      "--eval is not in this version; leave it out or pass --no-eval\nUse: deit eval CKPT --data-path DIR",
    ],
  ])("%o is refused", (layer, message) => {
    expect(messageOf(layer)).toBe(message);
  });

  it("names the flags that mean nothing here", () => {
    const { notes } = resolveTrainOptions([flags({ "pin-mem": true, "cooldown-epochs": "10" })]);
    expect(notes).toEqual([
      "--pin-mem changes nothing: there is no pinned memory to choose",
      "--cooldown-epochs changes nothing: the reference ignores it, too",
    ]);
  });
});

describe("command lines of DeiT's README", () => {
  const read = (line: string): Record<string, unknown> => {
    const values: Record<string, unknown> = {};
    let name = "";
    for (const word of line.split(/\s+/)) {
      if (word.startsWith("--no-")) values[word.slice(5)] = false;
      else if (word.startsWith("--")) values[(name = word.slice(2))] = true;
      else values[name] = word;
    }
    return values;
  };

  it("DeiT-S and its options", () => {
    const { options } = resolveTrainOptions([
      flags(
        read(
          "--model deit_small_patch16_224 --batch-size 256 --data-path /path/to/imagenet --output_dir /path/to/save",
        ),
      ),
    ]);
    expect(options).toMatchObject({
      aa: "rand-m9-mstd0.5-inc1",
      mixup: 0.8,
      cutmix: 1,
      reprob: 0.25,
      repeatedAug: true,
      modelEma: true,
      outputDir: "/path/to/save",
    });
  });

  it("DeiT III's options, underscores and capitals", () => {
    const { options, notes } = resolveTrainOptions([
      flags(
        read(
          "--model deit_small_patch16_224 --data-path p --output_dir o --batch 256 --lr 4e-3 --epochs 800 --weight-decay 0.05 " +
            "--sched cosine --input-size 224 --eval-crop-ratio 1.0 --reprob 0.0 --nodes 1 --ngpus 8 --smoothing 0.0 " +
            "--warmup-epochs 5 --drop 0.0 --seed 0 --warmup-lr 1e-6 --mixup .8 --drop-path 0.05 --cutmix 1.0 " +
            "--unscale-lr --no-repeated-aug --bce-loss --color-jitter 0.3 --ThreeAugment --src --data-set IMNET",
        ),
      ),
    ]);
    expect(options).toMatchObject({
      batchSize: 256,
      bceLoss: true,
      threeAugment: true,
      src: true,
      repeatedAug: false,
      unscaleLr: true,
      dataSet: "folder",
    });
    expect(notes).toHaveLength(2);
  });

  it("reads no augmentation in the reference's words", () => {
    const { options } = resolveTrainOptions([flags({ aa: "none", "cutmix-minmax": ["0.2", "0.8"] })]);
    expect(options).toMatchObject({ aa: null, cutmixMinmax: [0.2, 0.8] });
  });
});

describe("from code", () => {
  it("fills in the defaults and a run folder named after data and model", () => {
    expect(parseTrainOptions({ dataPath: "./my/photos/", model: "deit_tiny_patch16_224" }).outputDir).toBe(
      "runs/photos-deit_tiny_patch16_224",
    );
    expect(parseTrainOptions({ dataSet: "cifar10", model: "m" }).outputDir).toBe("runs/cifar10-m");
    expect(parseTrainOptions({ dataPath: "..", outputDir: "here" }).outputDir).toBe("here");
  });

  it("gives back what it gave", () => {
    const options = parseTrainOptions({ dataPath: "photos", lr: 0.1 });
    expect(parseTrainOptions(options)).toEqual(options);
  });

  it.each<[string, unknown]>([
    ["nested without end", JSON.parse(`${"[".repeat(50_000)}1${"]".repeat(50_000)}`)],
    ["a very long list", Array.from({ length: 20_000 }, () => "")],
    ["an object that cannot be a text", { toString: 1 }],
  ])("says what was given where it is %s", (_, value) => {
    for (const key of ["lr", "device", "mean", "aa"]) {
      const resolve = (): unknown =>
        resolveTrainOptions([{ source: "a.json", spelling: "key", values: { [key]: value } }]);
      expect(resolve).toThrow(expect.objectContaining({ code: "options/value" }));
      expect(resolve).toThrow(/^.{0,400}$/s);
    }
    const missing = (): unknown =>
      resolveTrainOptions([{ source: "a.json", spelling: "key", values: { resume: value } }]);
    expect(missing).toThrow(expect.objectContaining({ code: "options/not-supported" }));
  });

  it.each(["constructor", "__proto__", "valueOf"])("%s is not an option", (key) => {
    const values = Object.fromEntries([[key, 1]]);
    expect(() => resolveTrainOptions([{ source: "a.json", spelling: "key", values }])).toThrow(
      expect.objectContaining({ code: "options/unknown" }),
    );
  });

  it("asks for images", () => {
    expect(() => parseTrainOptions({})).toThrow("which images?");
  });
});
