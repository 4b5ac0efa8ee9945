/** The parts of `deit distill` around its training: the teacher's labels before, the truth after. */
import { basename, extname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { TaughtBy } from "../config/distill-defaults.ts";
import type { Layer } from "../config/resolve.ts";
import { ConfigError } from "../errors.ts";
import type { TeacherRequest } from "../distillation/distillation-request.ts";
import type { TeacherLabels, UnlabelledImages } from "../distillation/label-images.ts";
import type { EvaluateHooks } from "../evaluation/logits.ts";
import type { ShareReport } from "../evaluation/metrics/share.ts";
import { describeShare, shareOf, shareReport } from "../evaluation/metrics/share.ts";
import { modelFolder } from "../formats/model-folder.ts";
import { fetchCheckpoint } from "./fetch-checkpoint.ts";
import { integer } from "./views/text-format.ts";
import type { Output } from "./output.ts";
import { givenOptions } from "./schema-flags.ts";
import { withProgress } from "./views/with-progress.ts";

export interface DistillFlags {
  classes?: string;
  textEmbeddings?: string;
  textModel?: string;
  prompt?: string;
  logitScale?: number;
  labelled?: string;
  labelsDir?: string;
  randomWeights?: true;
}

const TEACHER = [
  "distillationType",
  "teacherPath",
  "teacherModel",
  "teacherWeights",
  "teacherInputSize",
  "teacherMean",
  "teacherStd",
  "workers",
] as const;

/** What stands in for true labels. */
export interface TaughtImages {
  readonly labels: TeacherLabels | UnlabelledImages;
  readonly by: TaughtBy;
  /** The classifier that was made of an image encoder: the teacher from now on. */
  readonly zeroShot: string | undefined;
}

/** Asks the teacher about all images, or lists them for one that has no classes. @throws ConfigError without a teacher */
export async function teachersLabels(
  images: string,
  flags: DistillFlags,
  { command, output }: { command: Command; output: Output },
): Promise<TaughtImages> {
  const { teacherPath: path, distillationType: type, workers, ...teacher } = givenOptions(command, TEACHER);
  if (path === undefined || path === null)
    throw new ConfigError("teacherPath", "distillation requires a teacher", {
      code: "options/missing",
      hint: "Add --teacher-path with a .safetensors or .onnx file, a run folder or a Hub id.",
    });
  await fetchCheckpoint(path);
  const request = {
    path,
    model: teacher.teacherModel ?? undefined,
    weights: teacher.teacherWeights ?? undefined,
    inputSize: teacher.teacherInputSize ?? undefined,
    mean: teacher.teacherMean ?? undefined,
    std: teacher.teacherStd ?? undefined,
  };
  const name = teacherName(path);
  const place = (by: string): string =>
    flags.labelsDir ?? join("runs", `${basename(resolve(images))}-${by}-${name}`);
  const folder = place("by");
  const classes = flags.classes?.split(",").map((word) => word.trim());
  const { labelImages, listImages } = await import("../distillation/label-images.ts");
  const zeroShot = await zeroShotTeacher(request, { flags, classes, folder, output });
  if (type === "feature" && zeroShot === undefined && classes === undefined) {
    const listed = await listImages({ images, folder: place("seen-by"), teacher: name }); // labels of another run stay
    output.note(`${integer(listed.images)} images without labels: only the embedding of ${name} is learned`);
    return { labels: listed, by: "embeddings", zeroShot };
  }
  const labels = await withProgress({ output, label: "labelling images", unit: "images" }, (hooks) =>
    labelImages(
      zeroShot === undefined
        ? { images, teacher: request, classes, folder, workers }
        : { images, teacher: { path: zeroShot }, name: `${name} (zero-shot)`, folder, workers },
      hooks,
    ),
  );
  output.note(
    `${labels.teacher} found ${integer(labels.found)} of ${integer(labels.classes.length)} classes in ${integer(labels.images)} images and is unsure of ${integer(labels.unsure)} (${labels.doubts})`,
  );
  return { labels, by: "labels", zeroShot };
}

/** A classifier of an image encoder and class names, where such a teacher is asked for; undefined: it has classes of its own. */
async function zeroShotTeacher(
  teacher: Omit<TeacherRequest, "cache">,
  {
    flags: { textEmbeddings, textModel, prompt, logitScale },
    classes,
    folder,
    output,
  }: {
    flags: DistillFlags;
    classes: readonly string[] | undefined;
    folder: string;
    output: Output;
  },
): Promise<string | undefined> {
  const { firstIn, VISION_WEIGHTS } = await import("../formats/model-folder.ts");
  const isPair = (await firstIn(teacher.path, VISION_WEIGHTS)) !== undefined;
  const texts = textModel ?? (isPair && classes !== undefined ? teacher.path : undefined);
  if (textEmbeddings === undefined && texts === undefined) {
    const lost = prompt !== undefined ? "prompt" : logitScale !== undefined ? "logitScale" : undefined;
    if (lost === undefined) return undefined;
    throw new ConfigError(
      lost,
      "this teacher has fixed classes; --prompt and --logit-scale are for zero-shot teachers",
      {
        code: "options/conflict",
        hint: "Leave out --prompt and --logit-scale, or add --text-embeddings FILE or --text-model DIR.",
      },
    );
  }
  if (textEmbeddings !== undefined && (textModel !== undefined || prompt !== undefined))
    throw new ConfigError(
      "textEmbeddings",
      "--text-embeddings cannot be combined with --text-model or --prompt: it has embeddings of texts already",
      {
        code: "options/conflict",
        hint: "Leave out --text-model and --prompt.",
      },
    );
  const { embedTexts, readTextEmbeddings } = await import("../export/text-embeddings.ts");
  const { writeZeroShot } = await import("../export/zero-shot.ts");
  const { makeFolder } = await import("../formats/atomic-file.ts");
  const text =
    textEmbeddings === undefined
      ? await embedTexts(texts ?? teacher.path, {
          classes: requireClasses(classes),
          prompt: prompt ?? PROMPT,
        })
      : await readTextEmbeddings(textEmbeddings, { classes });
  await makeFolder(folder, { what: "the zero-shot teacher" });
  const file = join(folder, "teacher.onnx");
  const notes = await writeZeroShot({ teacher, text, logitScale, file });
  for (const note of notes) output.warn(`teacher: ${note}`);
  return file;
}

/** Of CLIP's zero-shot classification. */
export const PROMPT = "a photo of a {}";

function requireClasses(classes: readonly string[] | undefined): readonly string[] {
  if (classes !== undefined && classes.length > 1) return classes;
  throw new ConfigError("classes", "a zero-shot teacher requires class names", {
    code: "options/missing",
    hint: 'Name at least two: --classes "cat,dog".',
  });
}

/** The flags of a run whose teacher is the classifier that was made. */
export function withZeroShot(given: Layer, zeroShot: string | undefined): Layer {
  if (zeroShot === undefined) return given;
  const own = new Set<string>(TEACHER.filter((name) => name.startsWith("teacher")));
  const others = Object.entries(given.values).filter(([name]) => !own.has(name));
  return { ...given, values: { ...Object.fromEntries(others), teacherPath: zeroShot } };
}

/** `teacher.onnx` → teacher; `runs/large/model.safetensors` → large. */
function teacherName(path: string): string {
  const name = basename(resolve(path), extname(path));
  return ["model", "best", "vision_model"].includes(name) ? basename(modelFolder(resolve(path))) : name;
}

export interface Truth {
  readonly images: number;
  readonly student: ShareReport;
  readonly teacher: ShareReport;
}

/** How often student and teacher are right about a labelled folder: by their answers, or by the neighbours of their features. */
export async function truthOf(
  labelled: string,
  {
    run,
    teacher,
    by,
    output,
  }: { run: string; teacher: TeacherRequest | undefined; by: TaughtBy; output: Output },
): Promise<Truth> {
  const share = (acc1: number | undefined, images: number | undefined): ShareReport =>
    shareReport(shareOf(acc1 ?? Number.NaN, images ?? 0));
  if (by === "embeddings") {
    const [student, other] = await withProgress(
      { output, label: "measuring", unit: "images" },
      async (hooks) => [
        await byNeighbours({ path: run }, labelled, hooks),
        await byNeighbours(teacher ?? { path: "" }, labelled, hooks),
      ],
    );
    const images = student?.images ?? 0;
    return { images, student: share(student?.acc1, images), teacher: share(other?.acc1, other?.images) };
  }
  const { measureCheckpoints } = await import("../evaluation/measure-checkpoints.ts");
  const checkpoints = [`student=${run}`, `teacher=${teacher?.path ?? ""}`];
  const { models } = await withProgress({ output, label: "measuring", unit: "images" }, (hooks) =>
    measureCheckpoints({ checkpoints, dataPath: labelled }, hooks),
  );
  const [student, other] = models.map(({ report }) => report);
  return {
    images: student?.images ?? 0,
    student: share(student?.acc1, student?.images),
    teacher: share(other?.acc1, other?.images),
  };
}

/** Top-1 when each image takes the class of its nearest others, by features. */
async function byNeighbours(
  { path, model, weights, inputSize, mean, std }: TeacherRequest,
  dataPath: string,
  hooks: EvaluateHooks,
): Promise<{ readonly images: number; readonly acc1: number }> {
  const { openClassifier } = await import("../evaluation/classifier.ts");
  const { openDatasets } = await import("../data/open.ts");
  const { leaveOneOutAccuracy } = await import("../evaluation/nearest-neighbours.ts");
  const preprocessing = { mean, std };
  await using encoder = await openClassifier(path, {
    model,
    weights,
    inputSize,
    preprocessing,
    embedding: true,
  });
  const { whole } = await openDatasets({ dataPath, valSplit: 0 });
  const features = await encoder.features(whole, hooks);
  return { images: features.labels.length, acc1: leaveOneOutAccuracy(features, whole.classes.length) };
}

/** The lines of the result that are about the teacher. */
export function teacherFacts(
  { labels, by, zeroShot }: TaughtImages,
  truth: Truth | undefined,
): (readonly [string, string | undefined])[] {
  const how = by === "embeddings" ? "labelled images by their nearest neighbours" : "labelled images";
  return [
    ["teacher", labels.teacher],
    ["its classifier", zeroShot],
    [by === "labels" ? "labels" : "list of images", labels.folder],
    ["unsure of", "doubts" in labels ? `${integer(labels.unsure)} images: ${labels.doubts}` : undefined],
    ["student, top-1", truth && `${describeShare(truth.student)} of ${how}`],
    ["teacher, top-1", truth && describeShare(truth.teacher)],
  ];
}
