/** A teacher's answers beside the student's program: computed, or read from the cache when they are known. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Dataset, DatasetSource } from "../data/dataset.ts";
import { planBatches } from "../data/plan.ts";
import type { TeacherCache } from "../distillation/teacher-cache.ts";
import { openTeacherCache } from "../distillation/teacher-cache.ts";
import { bridge } from "../distillation/bridge.ts";
import type { Teacher } from "../distillation/teacher.ts";
import { isOurs, teacherLogits } from "../distillation/teacher.ts";
import { loadOnnxAnswers } from "../evaluation/onnx-model.ts";
import type { ProgramOptions } from "../evaluation/program.ts";
import type { Program } from "../graph/program.ts";
import { compile } from "../graph/program.ts";
import { reorderClasses } from "../models/match-classes.ts";
import type { Runtime, TensorData } from "../runtime/runtime.ts";
import { VERSION } from "../version.ts";
import type { TrainingPlan } from "./plan.ts";
import { batchPixels, TEACHER_INPUT } from "./program.ts";

/** Feeds of a batch's program → the teacher's logits [B, K], in the student's order. */
type Answer = (feeds: Readonly<Record<string, TensorData>>) => Promise<Float32Array>;

export interface TeacherAnswers {
  /** The logits [B, K] for a step's pictures, given as the feeds of the student's program. */
  answer(step: {
    readonly epoch: number;
    readonly step: number;
    readonly feeds: Readonly<Record<string, TensorData>>;
  }): Promise<Float32Array>;
  /** What the cache did; undefined without one. */
  readonly cache: TeacherCache | undefined;
  close(): Promise<void>;
}

export interface TeacherSetup {
  readonly teacher: Teacher;
  readonly plan: Pick<TrainingPlan, "batches" | "images" | "step">;
  readonly cache: TeacherCacheSettings | undefined;
  readonly pictures: Dataset;
}

/** Where a teacher's answers are kept, up to so many bytes. */
export interface TeacherCacheSettings {
  readonly folder: string;
  readonly maxBytes: number;
}

/** Feeds of a batch's program, with the answers of a teacher that runs beside it. */
export async function withAnswers(
  teacher: TeacherAnswers | undefined,
  step: Parameters<TeacherAnswers["answer"]>[0],
): Promise<Readonly<Record<string, TensorData>>> {
  return teacher === undefined ? step.feeds : { ...step.feeds, [TEACHER_INPUT]: await teacher.answer(step) };
}

/** Loads a teacher beside the student's program, with the cache that options ask for. */
export async function loadTeacher(
  runtime: Runtime,
  shared: ProgramOptions,
  { teacher, plan, cache: settings, pictures }: TeacherSetup,
): Promise<TeacherAnswers> {
  const compute = await loadAnswer(runtime, shared, { teacher, plan });
  const cache =
    settings === undefined
      ? undefined
      : await openTeacherCache({
          ...settings,
          key: await cacheKey({ teacher, plan, pictures, shared, device: runtime.device }),
          batchSize: shared.batchSize,
          numClasses: shared.model.config.numClasses,
          stepsPerEpoch: planBatches(plan.batches, pictures.length).steps,
        });
  return {
    cache,
    async answer({ epoch, step, feeds }) {
      const known = await cache?.read(epoch, step);
      if (known !== undefined) return known;
      const logits = await compute(feeds);
      await cache?.write(epoch, step, logits);
      return logits;
    },
    async close() {
      await cache?.close();
    },
  };
}

async function loadAnswer(
  runtime: Runtime,
  shared: ProgramOptions,
  { teacher, plan }: Pick<TeacherSetup, "teacher" | "plan">,
): Promise<Answer> {
  const pixels = batchPixels(shared, plan.step);
  const load = async (outputs: Parameters<typeof compile>[0]["outputs"]): Promise<Answer> => {
    const program = compile({ name: `${teacher.name}.teacher`, target: runtime.target, outputs });
    const executable = await runtime.load(program);
    return async (feeds) => {
      const [result] = Object.values(await executable.run(pick(feeds, program)));
      if (!(result instanceof Float32Array)) throw new TypeError("a teacher's program returned no float32");
      return result;
    };
  };
  if (isOurs(teacher)) return load({ logits: teacherLogits(teacher, pixels, shared.normalisation) });
  const { source } = teacher;
  if (!("onnx" in source)) throw new TypeError("a teacher of neither kind");
  const prepare = await load({ pixels: bridge(pixels, shared.normalisation, teacher) });
  const answers = await loadOnnxAnswers(runtime, { ...source, inputSize: teacher.inputSize }, shared);
  return async (feeds) => reorderClasses(await answers(await prepare(feeds)), teacher);
}

function pick(feeds: Readonly<Record<string, TensorData>>, { inputs }: Program): Record<string, TensorData> {
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => name in inputs));
}

/** Everything that decides the answers: the teacher, the pictures, and all that is done to them on the way. */
async function cacheKey({
  teacher: { hash, name, inputSize, normalisation, order },
  plan: { batches, images },
  pictures,
  shared,
  device,
}: Pick<TeacherSetup, "teacher" | "plan" | "pictures"> & {
  shared: ProgramOptions;
  device: string;
}): Promise<object> {
  const { seed, batchSize, repeats } = batches;
  return {
    version: VERSION,
    device,
    teacher: { hash, name, inputSize, normalisation, order: order && [...order] },
    pictures: { source: pictures.source, name: pictures.name, hash: await hashPictures(pictures) },
    plan: { seed, batchSize, repeats },
    transform: { ...images.transform, size: shared.model.config.inputSize },
    mixup: images.mixup,
    normalisation: shared.normalisation,
  };
}

/** Which pictures they are: classes, labels and names, and for files in a folder their sizes and times of change. */
async function hashPictures({ classes, labels, length, source, describe }: Dataset): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(classes));
  hash.update(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength));
  const root = folderOf(source);
  for (let index = 0; index < length; index++) {
    const name = describe(index);
    hash.update(`${name}\n`);
    if (root === undefined) continue;
    const { size = 0, mtimeMs = 0 } = (await stat(join(root, name)).catch(() => undefined)) ?? {};
    hash.update(`${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

function folderOf(source: DatasetSource): string | undefined {
  if (source.kind === "subset") return folderOf(source.of);
  return source.kind === "folder" ? source.path : undefined;
}
