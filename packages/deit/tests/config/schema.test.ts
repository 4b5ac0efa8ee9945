import { expect, it } from "vitest";
import { kebabCase } from "../../src/config/names.ts";
import { MEANINGLESS_OPTIONS, MISSING_OPTIONS } from "../../src/config/unsupported-options.ts";
import { OPTION_GROUPS, infoOf, typeOf } from "../../src/config/option.ts";
import { KNOWN_NAMES } from "../../src/config/resolve.ts";
import { TRAIN_OPTION_NAMES, trainJsonSchema, trainSchema } from "../../src/config/schema.ts";

/** Every option of DeiT's main.py at HEAD. */
const REFERENCE =
  "batch-size epochs bce-loss unscale-lr model input-size drop drop-path model-ema model-ema-decay model-ema-force-cpu opt opt-eps opt-betas " +
  "clip-grad momentum weight-decay sched lr lr-noise lr-noise-pct lr-noise-std warmup-lr min-lr decay-epochs warmup-epochs cooldown-epochs " +
  "patience-epochs decay-rate dr color-jitter aa smoothing train-interpolation repeated-aug train-mode ThreeAugment src reprob remode recount " +
  "resplit mixup cutmix cutmix-minmax mixup-prob mixup-switch-prob mixup-mode teacher-model teacher-path distillation-type distillation-alpha " +
  "distillation-tau cosub finetune attn-only data-path data-set inat-category output_dir device seed resume start_epoch eval eval-crop-ratio " +
  "dist-eval num_workers pin-mem distributed world_size dist_url";

it("every option of the reference is known, refused, or named as meaningless, and only one of these", () => {
  for (const name of REFERENCE.split(" ").map(kebabCase)) {
    const places = [KNOWN_NAMES.has(name), name in MISSING_OPTIONS, name in MEANINGLESS_OPTIONS];
    expect(places.filter(Boolean), name).toHaveLength(1);
  }
});

it("every option has words for the help, in the order of its groups", () => {
  const groups = TRAIN_OPTION_NAMES.map((name) => infoOf(trainSchema.shape[name]).group);
  expect([...new Set(groups)]).toEqual([...OPTION_GROUPS]);
  for (const name of TRAIN_OPTION_NAMES) {
    const { help, value } = infoOf(trainSchema.shape[name]);
    const { kind } = typeOf(trainSchema.shape[name]);
    expect(help, name).toMatch(/^\S.*[^.]$/);
    expect(value === undefined, name).toBe(kind === "boolean" || kind === "choice");
    expect(trainSchema.shape[name].safeParse(undefined).success, `${name} has a default`).toBe(true);
  }
});

it("tells the kind of an option from its type", () => {
  const kinds = (
    ["unscaleLr", "epochs", "lr", "model", "opt", "optBetas", "dataSet", "threads"] as const
  ).map((name) => typeOf(trainSchema.shape[name]).kind);
  expect(kinds).toEqual(["boolean", "integer", "number", "text", "choice", "numbers", "choice", "integer"]);
  expect(typeOf(trainSchema.shape.threads).nullable).toBe(true);
});

it("becomes a JSON Schema for editors", () => {
  const schema = JSON.parse(JSON.stringify(trainJsonSchema())) as {
    additionalProperties: boolean;
    properties: Record<string, Record<string, unknown>>;
  };
  expect(schema.additionalProperties).toBe(false);
  expect(Object.keys(schema.properties)).toEqual([...TRAIN_OPTION_NAMES]);
  expect(schema.properties["lr"]).toMatchObject({ default: 5e-4, exclusiveMinimum: 0, type: "number" });
  expect(schema.properties["opt"]).toMatchObject({ enum: ["adamw", "lamb", "sgd", "momentum"] });
});
