/**
 * Several classifiers that are asked about the same pictures: each with a name of its own, and all with the classes of
 * the first, into whose order the answers of the others are brought.
 */
import { basename, resolve } from "node:path";
import { isImageNet } from "../data/class-keys.ts";
import type { Dataset } from "../data/dataset.ts";
import { takeSubset } from "../data/dataset.ts";
import type { EvaluationDataOptions } from "../data/open.ts";
import { openEvaluation } from "../data/open.ts";
import { ConfigError } from "../errors.ts";
import { modelFolder } from "../formats/model-folder.ts";
import { matchClasses } from "../models/match-classes.ts";
import type { EvaluateHooks } from "./answers.ts";
import type { Classifier } from "./classifier.ts";
import { loadClassifier } from "./classifier.ts";
import { namedCheckpoint } from "./named-checkpoint.ts";

export interface ContendersOptions extends EvaluationDataOptions {
  /** Files, run folders, model folders or Hub ids; `name=path` gives one a name. */
  readonly checkpoints: readonly string[];
  /** Name of a registered model, for files that do not say what they are. */
  readonly model?: string | undefined;
  readonly inputSize?: number | readonly [number, number] | null | undefined;
  /** Which weights of files that hold several: "model", "ema", or their name in the file. */
  readonly weights?: string | null | undefined;
  /** Ask about that many pictures only, by chance, the classes in proportion. */
  readonly images?: number | undefined;
  /** Only classes that the pictures are of can be answered. */
  readonly restrictClasses?: boolean | undefined;
}

export interface Contender {
  /** Unlike all others'. */
  readonly name: string;
  /** As it was given, without a name. */
  readonly checkpoint: string;
  /** Its index of each class that is answered for; undefined when the order is the same. */
  readonly order: Int32Array | undefined;
  /** Reads the weights: only one's need be in memory at a time. */
  load(): Promise<Classifier>;
}

export interface Contest {
  readonly contenders: readonly Contender[];
  readonly dataset: Dataset;
  /** Classes of the answers. */
  readonly numClasses: number;
  readonly classes: readonly string[];
  /** The number that each class of the dataset has among them; undefined: its own. */
  readonly relabel: Int32Array | undefined;
  /** Classes that the pictures are of. */
  readonly present: number;
}

/**
 * Opens checkpoints and pictures.
 * @throws ConfigError for classes that do not fit together, and what loading and opening throw
 */
export async function openContest(
  { checkpoints, model, inputSize, weights, images, restrictClasses = false, ...data }: ContendersOptions,
  { onEvent }: EvaluateHooks = {},
): Promise<Contest> {
  const given = checkpoints.map(namedCheckpoint);
  const warn = (message: string): void => onEvent?.({ type: "warning", message });
  const known: Omit<Classifier, "source">[] = [];
  const load = async (path: string): Promise<Classifier> =>
    loadClassifier(path, { model, inputSize: inputSize ?? undefined, weights: weights ?? undefined });
  for (const { path } of given) {
    const { source: _, ...facts } = await load(path); // the weights are read again when their turn comes
    known.push(facts);
  }
  const names = namesOf(given, known);
  for (const [i, { notes }] of known.entries())
    for (const message of notes) {
      const who = known.length > 1 ? `${names[i]}: ` : "";
      warn(`${who}${message}`);
    }
  const [first] = known;
  if (first === undefined) throw new ConfigError("checkpoint", "no checkpoint was given");
  const opened = await openEvaluation(data, {
    model: { numClasses: first.numClasses, classes: data.classes ?? first.classes },
    onNote: warn,
  });
  // a folder called val says less than the one it is in
  const whole =
    typeof data.dataPath === "string" ? { ...opened, name: basename(resolve(data.dataPath)) } : opened;
  checkClasses(whole, first.numClasses, given[0]?.path ?? "");
  const dataset =
    images === undefined ? whole : takeSubset(whole, { rule: "sample", count: images, seed: data.seed ?? 0 });
  const all: Named = { ...first, name: names[0] ?? "", classes: namedClasses(first, dataset) };
  const present = [...new Set(whole.labels)].sort((a, b) => a - b);
  const asked = restrictClasses ? present : undefined;
  if (asked === undefined && present.length < all.numClasses && whole.length >= 5 * present.length) {
    warn(
      `the pictures are of ${present.length} of the ${all.numClasses} classes; --restrict-classes lets models answer with these alone`,
    );
  }
  const numClasses = asked?.length ?? all.numClasses;
  return {
    dataset,
    numClasses,
    classes: asked?.map((label) => all.classes?.[label] ?? String(label)) ?? all.classes ?? [],
    relabel: asked && Int32Array.from({ length: all.numClasses }, (_, label) => asked.indexOf(label)),
    present: present.length,
    contenders: known.map((facts, i) => {
      const own = { ...facts, name: names[i] ?? "" };
      const order =
        i === 0 ? undefined : orderOf(own, { ...all, classes: first.classes }, { dataset: whole, warn });
      return {
        name: names[i] ?? facts.name,
        checkpoint: given[i]?.path ?? facts.file,
        order: asked === undefined ? order : Int32Array.from(asked, (label) => order?.[label] ?? label),
        load: async () => load(given[i]?.path ?? facts.file),
      };
    }),
  };
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

type Named = Pick<Classifier, "name" | "numClasses" | "classes">;

/**
 * The other's index of each class of the first; undefined when the order is the same. Where the first does not name its
 * classes, the pictures do.
 * @throws ConfigError when the other lacks some
 */
function orderOf(
  other: Named,
  first: Named,
  { dataset, warn }: { dataset: Dataset; warn: (message: string) => void },
): Int32Array | undefined {
  if (isImageNet(other) && isImageNet(first)) return undefined; // in its order, however they are spelt
  const { numClasses } = first;
  const byPictures = first.classes === undefined && dataset.classes.length === numClasses;
  const whose = byPictures ? "the pictures'" : `${first.name}'s`;
  const match = matchClasses(other, { numClasses, classes: byPictures ? dataset.classes : first.classes });
  if ("order" in match) {
    if (match.unlike !== undefined)
      warn(`${other.name} has none of ${whose} names of classes: they are taken by index (${match.unlike})`);
    return match.order;
  }
  const { missing } = match;
  const examples = `${missing.slice(0, 3).join(", ")}${missing.length > 3 ? ", …" : ""}`;
  if (byPictures && other.numClasses === numClasses) {
    const lacks = examples && ` (it lacks ${examples})`;
    warn(`${other.name} names some classes otherwise than the pictures${lacks}: all are taken by index`);
    return undefined;
  }
  throw new ConfigError(
    "checkpoint",
    `${other.name} knows ${other.numClasses} classes, ${first.name} ${numClasses}${examples && `; it lacks ${examples}`}`,
    {
      hint: "All models answer for the classes of the first: name the one with the fewest first. More classes than those need names in the file.",
    },
  );
}

/** @throws ConfigError when pictures carry labels that the model does not know */
export function checkClasses(dataset: Dataset, numClasses: number, checkpoint: string): void {
  const largest = dataset.labels.reduce((most, label) => Math.max(most, label), -1);
  if (largest < numClasses) return;
  throw new ConfigError(
    "dataPath",
    `${dataset.name} has class ${largest}, but ${checkpoint} knows ${numClasses} classes`,
    {
      hint: "Evaluate on the classes that the model was trained for.",
    },
  );
}
