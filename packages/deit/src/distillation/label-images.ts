/**
 * A teacher's decisions as labels: images without classes become a dataset that can be trained on, with the teacher's classes
 * or some of them. Where it is unsure is written down, for a person to look at. Node only.
 */
import { join, relative, resolve } from "node:path";
import { didYouMean } from "../config/names.ts";
import { openFiles } from "../data/unlabelled-images.ts";
import { imagesBelow } from "../data/image-files.ts";
import { ConfigError, DataError } from "../errors.ts";
import type { Classifier } from "../evaluation/classifier.ts";
import { openClassifier } from "../evaluation/classifier.ts";
import type { EvaluateHooks } from "../evaluation/logits.ts";
import { mainLogits, topPredictions } from "../evaluation/metrics/metrics.ts";
import { makeFolder, writeFileAtomic } from "../formats/atomic-file.ts";
import { csv } from "../formats/csv.ts";
import { matchClasses } from "../models/match-classes.ts";
import type { TeacherRequest } from "./distillation-request.ts";

export interface LabelImagesOptions {
  /** A folder of images, with or without folders in it; their names mean nothing. */
  readonly images: string;
  readonly teacher: Omit<TeacherRequest, "cache" | "embedding">;
  /** The teacher's classes to choose among; undefined: all. */
  readonly classes?: readonly string[] | undefined;
  /** What the teacher is called in results; default: as its file. */
  readonly name?: string | undefined;
  /** Where the labels are written; made where there is none. */
  readonly folder: string;
  /** Threads that decode; default one a core. */
  readonly workers?: number | null | undefined;
}

export interface TeacherLabels {
  /** A dataset: labels.csv and classes.json. */
  readonly folder: string;
  /** The images that the teacher is unsure of, the least sure first. */
  readonly doubts: string;
  readonly teacher: string;
  readonly images: number;
  readonly unsure: number;
  readonly classes: readonly string[];
  /** Classes of which the teacher finds at least one image. */
  readonly found: number;
}

/** An image is unsure when the second class is at least this part as probable as the first. */
const UNSURE = 1 / 3;

/**
 * Asks the teacher once about every image, as it prepares images itself.
 * @throws ConfigError for classes that the teacher has not; DataError for a folder without images, or too many broken ones
 */
export async function labelImages(
  { images, teacher, name, classes: wanted, folder, workers }: LabelImagesOptions,
  hooks: EvaluateHooks = {},
): Promise<TeacherLabels> {
  const files = await filesOf(images);
  const { path, model, inputSize, weights, mean, std } = teacher;
  const preprocessing = { mean, std };
  await using classifier = await openClassifier(path, { model, inputSize, weights, preprocessing });
  for (const note of classifier.notes) hooks.onEvent?.({ type: "warning", message: `teacher: ${note}` });
  const { order, classes } = chosenClasses(classifier, wanted);
  const rows: Decision[] = [];
  const pass = classifier.answers(openFiles({ kind: "files", files }), { ...hooks, workers, order });
  for await (const { logits, size, samples, readable } of pass) {
    for (let row = 0; row < size; row++) {
      const file = files[samples[row] ?? -1];
      if (file === undefined || !readable(row)) continue;
      rows.push(decisionOf(file, mainLogits(logits, { row, numClasses: classes.length })));
    }
  }
  const labels = rows.map(({ file, first }) => [file, first] as const);
  await writeDataset(folder, { labels, classes });
  const doubts = join(folder, "unsure.csv");
  const unsure = rows
    .filter(({ probability, secondProbability }) => secondProbability >= UNSURE * probability)
    .toSorted((a, b) => a.probability - a.secondProbability - (b.probability - b.secondProbability));
  const head = ["file", "class", "probability", "second_class", "second_probability"];
  const lines = unsure.map(({ file, first, second, probability, secondProbability }) => [
    file,
    classes[first] ?? "",
    probability.toFixed(4),
    classes[second] ?? "",
    secondProbability.toFixed(4),
  ]);
  await writeFileAtomic(doubts, csv([head, ...lines]));
  return {
    folder,
    doubts,
    teacher: name ?? classifier.name,
    images: rows.length,
    unsure: unsure.length,
    classes,
    found: new Set(rows.map(({ first }) => first)).size,
  };
}

/** Images that a student learns embeddings from: no class is known of any. */
export interface UnlabelledImages {
  /** A dataset with one class for all: labels.csv and classes.json. */
  readonly folder: string;
  readonly teacher: string;
  readonly images: number;
}

/** Lists images for a student of embeddings, as a dataset. @throws DataError for a folder without images */
export async function listImages({
  images,
  folder,
  teacher,
}: Pick<LabelImagesOptions, "images" | "folder"> & { readonly teacher: string }): Promise<UnlabelledImages> {
  const files = await filesOf(images);
  const labels = files.map((file) => [file, 0] as const);
  await writeDataset(folder, { labels, classes: ["image"] });
  return { folder, teacher, images: files.length };
}

async function filesOf(images: string): Promise<readonly string[]> {
  const { files } = await imagesBelow(images);
  if (files.length > 0) return files;
  throw new DataError(images, `${images} holds no images`, {
    code: "data/no-images",
    hint: "Give a folder of images; it is searched recursively.",
  });
}

async function writeDataset(
  folder: string,
  { labels, classes }: { labels: readonly (readonly [string, number])[]; classes: readonly string[] },
): Promise<void> {
  await makeFolder(folder, { what: "the teacher's labels" });
  const place = (file: string): string => relative(resolve(folder), resolve(file)).replaceAll("\\", "/");
  const rows = labels.map(([file, label]) => [place(file), label]);
  await writeFileAtomic(join(folder, "labels.csv"), csv([["file", "class_index"], ...rows]));
  await writeFileAtomic(join(folder, "classes.json"), `${JSON.stringify(classes, null, 1)}\n`);
}

/** What a teacher says of an image. */
interface Decision {
  readonly file: string;
  readonly first: number;
  readonly second: number;
  readonly probability: number;
  readonly secondProbability: number;
}

function decisionOf(file: string, logits: Float32Array): Decision {
  const [first, second] = topPredictions(logits, { topk: 2 });
  return {
    file,
    first: first?.index ?? 0,
    second: second?.index ?? -1,
    probability: first?.score ?? 1,
    secondProbability: second?.score ?? 0,
  };
}

function chosenClasses(
  { name, numClasses, classes, labels }: Classifier,
  wanted: readonly string[] | undefined,
): { order: Int32Array | undefined; classes: readonly string[] } {
  if (wanted === undefined) return { order: undefined, classes: labels };
  const refuse = (problem: string, hint: string): ConfigError =>
    new ConfigError("classes", problem, { code: "model/other-classes", hint });
  if (wanted.length < 2 || new Set(wanted).size < wanted.length)
    throw refuse(
      `--classes ${wanted.join(",")}: expected at least two different classes`,
      "Separate them by commas.",
    );
  if (classes === undefined)
    throw refuse(
      `the teacher ${name} does not name its ${numClasses} classes`,
      "Leave out --classes: the student learns all of them.",
    );
  const match = matchClasses({ numClasses, classes }, { numClasses: wanted.length, classes: wanted });
  if ("order" in match && match.unlike === undefined) return { order: match.order, classes: wanted };
  const missing = "missing" in match ? match.missing : wanted;
  throw refuse(
    `the teacher ${name} has no class ${missing.slice(0, 3).join(", ")}`,
    didYouMean(missing[0] ?? "", classes) ||
      `It has ${numClasses} classes: ${classes.slice(0, 5).join(", ")}, …`,
  );
}
