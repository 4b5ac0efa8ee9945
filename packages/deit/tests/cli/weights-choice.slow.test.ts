/** `--weights` on every command that reads a checkpoint: each takes the weights that were asked for. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openTeacher } from "../../src/distillation/teacher.ts";
import { loadModel } from "../../src/evaluation/checkpoints/load-model.ts";
import { readCheckpoint } from "../../src/formats/safetensors-file.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { torchFile } from "../helpers/torch-file.ts";
import { CLASSES, writePhotos } from "../training/photos.ts";
import { runCommand } from "./run-command.ts";

const MODEL = "deit_w64d4_patch4_32";
let root = "";
let photos = "";
let both = "";
const alone: Record<string, string> = {};
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 6 });
  const [model, ema] = [1, 2].map((seed) => join(root, `${seed}.safetensors`));
  const tensors = [];
  for (const [i, file] of [model, ema].entries())
    tensors.push(await writeRandomModel(file ?? "", { model: MODEL, seed: i + 1 }));
  Object.assign(alone, { model, ema });
  both = join(root, "both.pth");
  const [trained, averaged] = tensors;
  if (trained === undefined || averaged === undefined) throw new Error("unreachable");
  await writeFile(both, torchFile(new Map(Object.entries({ model: trained, model_ema: averaged }))));
});

async function json(...words: string[]): Promise<unknown> {
  const { code, out, err } = await runCommand([...words, "--json"]);
  expect(code, err).toBe(0);
  return JSON.parse(out);
}

/** Numbers alone: of paths and names the results may differ. */
function numbers(value: unknown): number[] {
  if (typeof value === "number") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(numbers) : [];
}

/** What may differ from run to run. */
const withoutTimes = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, item: unknown) => (/second/i.test(key) ? undefined : item)));

describe.each(["model", "ema"])("--weights %s:", (choice) => {
  const cases: readonly (readonly [string, (file: string) => string[]])[] = [
    ["predict", (file) => ["predict", file, join(photos, "disc")]],
    ["eval", (file) => ["eval", file, "--data-path", photos, "--resamples", "10"]],
    ["analyze attention", (file) => ["analyze", "attention", file, join(photos, "disc", "0.png")]],
    ["analyze tokens", (file) => ["analyze", "tokens", file, "--data-path", photos]],
    ["analyze probe", (file) => ["analyze", "probe", file, "--data-path", photos]],
    ["analyze labels", (file) => ["analyze", "labels", file, "--data-path", photos, "--views", "2"]],
  ];
  test.each(cases)("%s", async (_, words) => {
    const chosen = withoutTimes(await json(...words(both), "--weights", choice));
    expect(numbers(chosen)).toEqual(numbers(withoutTimes(await json(...words(alone[choice] ?? "")))));
    const other = alone[choice === "model" ? "ema" : "model"] ?? "";
    expect(numbers(chosen)).not.toEqual(numbers(withoutTimes(await json(...words(other)))));
  });

  test("export, finetune, teacher", async () => {
    const out = join(root, `${choice}-exported.safetensors`);
    await json("export", both, "--format", "safetensors", "--out", out, "--weights", choice);
    const expected = (await loadModel(alone[choice] ?? "")).tensors.get("head.weight")?.data;
    expect((await readCheckpoint(out)).tensors.get("head.weight")?.data).toEqual(expected);

    const run = join(root, `${choice}-run`);
    const words = ["finetune", photos, "--finetune", both, "--weights", choice, "--output-dir", run];
    const still = ["--trainable", "head", "--epochs", "1"];
    await json(...words, ...still, "--no-export", "--device", "cpu", "--workers", "0", "--input-size", "16");
    const tuned = await readCheckpoint(join(run, "last.safetensors"));
    expect(tuned.tensors.get("blocks.3.mlp.fc2.weight")?.data).toEqual(
      (await loadModel(alone[choice] ?? "")).tensors.get("blocks.3.mlp.fc2.weight")?.data,
    );

    const student = { name: "photos", classes: CLASSES, numClasses: CLASSES.length };
    const teacher = await openTeacher({ path: both, weights: choice }, { student, warn: () => {} });
    const tensors = teacher !== undefined && "tensors" in teacher.source ? teacher.source.tensors : undefined;
    expect(tensors?.get("head.weight")?.data).toEqual(expected);
  });
});
