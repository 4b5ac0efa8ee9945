/**
 * Several classifiers on the same images: each with a name of its own, and all with the classes of the first, into whose
 * order the logits of the others are brought.
 */
import { basename, resolve } from "node:path";
import { isImageNet } from "../data/class-keys.ts";
import type { Dataset } from "../data/dataset.ts";
import { takeSubset } from "../data/subset.ts";
import type { EvaluationDataOptions } from "../data/open.ts";
import { openEvaluation } from "../data/open.ts";
import { ConfigError } from "../errors.ts";
import { modelFolder } from "../formats/model-folder.ts";
import { matchClasses } from "../models/match-classes.ts";
import type { BootstrapOptions } from "./metrics/bootstrap.ts";
import type { Classifier, DatasetAnswers, OpenClassifierOptions } from "./classifier.ts";
import { openClassifier } from "./classifier.ts";
import type { AnswerSettings, EvaluateHooks } from "./logits.ts";
import type { JointRule } from "./metrics/metrics.ts";
import { namedCheckpoint } from "./checkpoints/named-checkpoint.ts";

export interface ComparisonOptions
  extends
    EvaluationDataOptions,
    AnswerSettings,
    Pick<OpenClassifierOptions, "model" | "inputSize" | "evalCropRatio" | "weights" | "preprocessing">,
    Pick<BootstrapOptions, "resamples"> {
  /** What `openClassifier` opens; `name=path` gives one a name. */
  readonly checkpoints: readonly string[];
  /** How the heads of a distilled model are joined. */
  readonly joint?: JointRule | undefined;
  /** Ask about that many images only, at random, the classes in proportion. */
  readonly images?: number | undefined;
  /** Only classes that the images are of can be answered. */
  readonly restrictClasses?: boolean | undefined;
}

/** One of the models that are compared. */
export interface ComparedModel {
  /** Unlike all others'. */
  readonly name: string;
  /** As it was given, without a name. */
  readonly checkpoint: string;
  /** Its index of each class that is answered for; undefined when the order is the same. */
  readonly order: Int32Array | undefined;
  open(): Promise<Classifier>;
}

export interface Comparison {
  readonly models: readonly ComparedModel[];
  readonly dataset: Dataset;
  /** Classes of the answers. */
  readonly numClasses: number;
  readonly classes: readonly string[];
  /** The number that each class of the dataset has among them; undefined: its own. */
  readonly relabel: Int32Array | undefined;
  /** Classes that the images are of. */
  readonly present: number;
}

/**
 * Opens checkpoints and images.
 * @throws ConfigError for classes that do not fit together, and what opening throws
 */
export async function openComparison(
  options: ComparisonOptions,
  { onEvent }: EvaluateHooks = {},
): Promise<Comparison> {
  const { checkpoints, images, restrictClasses = false, classes: named, ...rest } = options;
  const given = checkpoints.map(namedCheckpoint);
  const warn = (message: string): void => onEvent?.({ type: "warning", message });
  const known: Facts[] = [];
  let only: Classifier | undefined;
  for (const { path } of given) {
    const classifier = await openClassifier(path, rest);
    const { name, file, numClasses, classes, notes } = classifier;
    known.push({ name, file, numClasses, classes, notes });
    if (given.length === 1) only = classifier; // of several the weights are read again: one's are in memory at a time
  }
  const names = namesOf(given, known);
  for (const [i, { notes }] of known.entries())
    for (const message of notes) warn(known.length > 1 ? `${names[i]}: ${message}` : message);
  const [first] = known;
  if (first === undefined)
    throw new ConfigError("checkpoint", "no checkpoint was given", {
      code: "checkpoint/missing",
      hint: "Name one or more.",
    });
  const opened = await openEvaluation(rest, {
    model: { numClasses: first.numClasses, classes: named ?? first.classes },
    onNote: warn,
  });
  // a folder called val says less than the one it is in
  const whole =
    typeof rest.dataPath === "string" ? { ...opened, name: basename(resolve(rest.dataPath)) } : opened;
  checkClasses(whole, first.numClasses, given[0]?.path ?? "");
  const dataset =
    images === undefined ? whole : takeSubset(whole, { rule: "sample", count: images, seed: rest.seed ?? 0 });
  const all = { ...first, name: names[0] ?? "", classes: namedClasses(first, dataset) };
  const present = [...new Set(whole.labels)].sort((a, b) => a - b);
  const asked = restrictClasses ? present : undefined;
  if (asked === undefined && present.length < all.numClasses && whole.length >= 5 * present.length)
    warn(
      `the images are of ${present.length} of the ${all.numClasses} classes; --restrict-classes restricts predictions to these`,
    );
  return {
    dataset,
    numClasses: asked?.length ?? all.numClasses,
    classes: asked?.map((label) => all.classes[label] ?? String(label)) ?? all.classes,
    relabel: asked && Int32Array.from({ length: all.numClasses }, (_, label) => asked.indexOf(label)),
    present: present.length,
    models: known.map((facts, i) => {
      const name = names[i] ?? facts.name;
      const checkpoint = given[i]?.path ?? facts.file;
      const columns = { ...all, classes: first.classes };
      const order = i === 0 ? undefined : orderOf({ ...facts, name }, columns, { dataset: whole, warn });
      return {
        name,
        checkpoint,
        order: asked === undefined ? order : Int32Array.from(asked, (label) => order?.[label] ?? label),
        async open() {
          const classifier = only ?? openClassifier(checkpoint, rest);
          only = undefined;
          return classifier;
        },
      };
    }),
  };
}

/** What a comparison needs to know of every model before any is asked. */
type Facts = Pick<Classifier, "name" | "file" | "numClasses" | "classes" | "notes">;

/** A model whose turn it is. */
export interface AskedModel extends ComparedModel {
  readonly classifier: Classifier;
  /** Its logits, and the labels, of the classes that are answered for; once. */
  readonly answers: AsyncIterable<DatasetAnswers>;
}

/** Goes through the images once with each model, one after another, each closed before the next is opened. */
export async function askEach<T>(
  { models, dataset, relabel }: Comparison,
  { batchSize, workers }: AnswerSettings,
  ask: (model: AskedModel) => Promise<T>,
  { onEvent, signal }: EvaluateHooks = {},
): Promise<T[]> {
  const found: T[] = [];
  for (const [i, model] of models.entries()) {
    await using classifier = await model.open();
    const total = models.length * dataset.length;
    const answers = classifier.answers(dataset, {
      batchSize,
      workers,
      order: model.order,
      relabel,
      signal,
      onEvent: (event) =>
        onEvent?.(
          event.type === "evaluate" ? { ...event, done: i * dataset.length + event.done, total } : event,
        ),
    });
    found.push(await ask({ ...model, classifier, answers }));
  }
  return found;
}

/** Names that files have whatever is in them. */
const NAMELESS = /^(?:model|best|last|ema|pytorch_model)(?:_\w+)?\.\w+$/;

function namesOf(
  given: readonly { name: string | undefined; path: string }[],
  known: readonly Pick<Classifier, "name" | "file">[],
): string[] {
  const first = known.map(
    ({ name, file }, i) => given[i]?.name ?? (NAMELESS.test(name) ? folderOf(file) : name),
  );
  const twice = (names: readonly string[], name: string): boolean =>
    names.indexOf(name) !== names.lastIndexOf(name);
  // Two of one model: called by what tells them apart, in the end by their numbers.
  const second = first.map((name, i) => {
    const path = given[i]?.path ?? "";
    return given[i]?.name === undefined && twice(first, name) ? pathName(path) : name;
  });
  return second.map((name, i) => (twice(second, name) ? `${name} (${i + 1})` : name));
}

/** The folder that a file without a name of its own lies in. */
function folderOf(file: string): string {
  return basename(modelFolder(resolve(file)));
}

/** What a path is called: a run's folder, or the folder of a nameless file. */
function pathName(path: string): string {
  const name = basename(resolve(path));
  return NAMELESS.test(name) ? folderOf(path) : name.replace(/\.(?:safetensors|onnx|pth|bin|pt)$/, "");
}

/** Display names: the model's, else the dataset's, else numbers. */
function namedClasses(
  { classes, numClasses }: Pick<Classifier, "classes" | "numClasses">,
  dataset: Dataset,
): string[] {
  return Array.from({ length: numClasses }, (_, i) => classes?.[i] ?? dataset.classes[i] ?? String(i));
}

type Named = Pick<Facts, "name" | "numClasses" | "classes">;

/**
 * The other's index of each class of the first; undefined when the order is the same. Where the first does not name its
 * classes, the images do.
 * @throws ConfigError when the other lacks some
 */
function orderOf(
  other: Named,
  first: Named,
  { dataset, warn }: { dataset: Dataset; warn: (message: string) => void },
): Int32Array | undefined {
  if (isImageNet(other) && isImageNet(first)) return undefined; // in its order, however they are spelt
  const { numClasses } = first;
  const byImages = first.classes === undefined && dataset.classes.length === numClasses;
  const whose = byImages ? "the images'" : `${first.name}'s`;
  const match = matchClasses(other, { numClasses, classes: byImages ? dataset.classes : first.classes });
  if ("order" in match) {
    if (match.unlike !== undefined)
      warn(`${other.name} has none of ${whose} class names: classes are matched by index (${match.unlike})`);
    return match.order;
  }
  const { missing } = match;
  const examples = `${missing.slice(0, 3).join(", ")}${missing.length > 3 ? ", …" : ""}`;
  if (byImages && other.numClasses === numClasses) {
    const lacks = examples && ` (it lacks ${examples})`;
    warn(`${other.name} names some classes differently from the images${lacks}: all are matched by index`);
    return undefined;
  }
  throw new ConfigError(
    "checkpoint",
    `${other.name} knows ${other.numClasses} classes, ${first.name} ${numClasses}${examples && `; it lacks ${examples}`}`,
    {
      code: "model/other-classes",
      hint: "All models are compared on the classes of the first: name the model with the fewest classes first. Models with more classes need class names in their files.",
    },
  );
}

/** @throws ConfigError when images carry labels that the model does not know */
export function checkClasses(dataset: Dataset, numClasses: number, checkpoint: string): void {
  const largest = dataset.labels.reduce((most, label) => Math.max(most, label), -1);
  if (largest < numClasses) return;
  throw new ConfigError(
    "dataPath",
    `${dataset.name} has class ${largest}, but ${checkpoint} knows ${numClasses} classes`,
    { code: "data/unknown-class", hint: "Evaluate on the classes that the model was trained for." },
  );
}
