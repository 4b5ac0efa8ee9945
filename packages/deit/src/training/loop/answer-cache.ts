/** The cache of a teacher's answers on disk, opened for one run. Node only. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Dataset, DatasetSource } from "../../data/dataset.ts";
import { planBatches } from "../../data/loading/epoch-plan.ts";
import type { TeacherRequest } from "../../distillation/distillation-request.ts";
import type { TeacherCache } from "../../distillation/teacher-cache.ts";
import { openTeacherCache } from "../../distillation/teacher-cache.ts";
import type { Teacher } from "../../distillation/teacher-program.ts";
import type { Model } from "../../models/registry.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { VERSION } from "../../version.ts";
import type { TrainingPlan } from "../plan.ts";

/** What the answers depend on. */
interface AnswerCacheSetup {
  readonly teacher: Teacher;
  readonly plan: Pick<TrainingPlan, "batches" | "images" | "normalisation">;
  readonly student: Model;
  /** The training images. */
  readonly images: Dataset;
  readonly device: Runtime["device"];
}

/** @throws ConfigError for a folder that cannot be used */
export async function openAnswerCache(
  settings: NonNullable<TeacherRequest["cache"]>,
  { teacher, plan, student, images, device }: AnswerCacheSetup,
): Promise<TeacherCache> {
  return openTeacherCache({
    ...settings,
    key: await cacheKey({ teacher, plan, student, images, device }),
    batchSize: plan.batches.batchSize,
    width: teacher.answers === "embedding" ? teacher.width : student.config.numClasses,
    stepsPerEpoch: planBatches(plan.batches, images.length).steps,
  });
}

/** Everything that decides the answers: the teacher, the images, and all that is done to them on the way. */
async function cacheKey({
  teacher: { hash, name, inputSize, normalisation, order, answers },
  plan,
  student,
  images,
  device,
}: AnswerCacheSetup): Promise<object> {
  const { seed, batchSize, repeats, accumulationSteps } = plan.batches;
  return {
    version: VERSION,
    device,
    teacher: {
      hash,
      name,
      inputSize,
      normalisation,
      order: order && [...order],
      ...(answers === "embedding" && { answers }),
    },
    images: { source: images.source, name: images.name, hash: await hashImages(images) },
    // Of an update of one batch as ever, so that answers kept by older versions serve.
    plan: { seed, batchSize, repeats, ...(accumulationSteps > 1 && { accumulationSteps }) },
    transform: { ...plan.images.transform, size: student.config.inputSize },
    mixup: plan.images.mixup,
    normalisation: plan.normalisation,
  };
}

/** Which images they are: classes, labels and names, and for files in a folder their sizes and times of change. */
async function hashImages({ classes, labels, length, source, describe }: Dataset): Promise<string> {
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
