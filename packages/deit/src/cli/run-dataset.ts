/**
 * The images that a command measures checkpoints with: those of a run among them while no others are named, and of
 * these the part that the runs held out. What a run trained on is measured only where a flag says so, and never silently.
 */
import { realpath, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { DataOptions } from "../data/open.ts";
import type { RecordedImages } from "../data/recorded-images.ts";
import { imagesGone } from "../data/recorded-images.ts";
import { ConfigError } from "../errors.ts";
import { namedCheckpoint } from "../evaluation/checkpoints/named-checkpoint.ts";
import type { RunData } from "./run-options.ts";
import { runData, runFolder, runImages } from "./run-options.ts";

type DatasetOptions = Pick<RunData, "dataPath" | "dataSet" | "valSplit" | "seed">;

export interface RunDataset {
  /** Those of the runs, and what flags say of them. */
  readonly options: Partial<DatasetOptions> & Pick<DataOptions, "recorded">;
  /** What the user should know, a sentence each. */
  readonly notes: readonly string[];
}

/** A folder of images, as it is written. */
interface Folder {
  readonly path: string;
  /** Its one true path; undefined where it is not to be found from here. */
  readonly place: string | undefined;
  /** Of a run: the folder that is named now, where most of the run's images are found. */
  readonly found?: string | undefined;
}

/** A run, as the command line names it, and its images. */
interface Run extends DatasetOptions {
  readonly word: string;
  /** Null for CIFAR. */
  readonly folder: Folder | null;
}

/** Images that are held out by chance. */
type Part = Pick<DatasetOptions, "valSplit" | "seed">;

/**
 * @param words checkpoints as they were given, `name=` before them or not; those that are not runs are passed over
 * @param flags of the command line
 * @throws ConfigError when the runs held out different images, and no flag says which are meant
 */
export async function runDataset(
  words: readonly string[],
  { dataPath, dataSet, valSplit, seed }: Partial<DatasetOptions>,
): Promise<RunDataset> {
  const named = { ...(dataPath !== undefined && { dataPath }), ...(dataSet !== undefined && { dataSet }) };
  const chosen = { ...(valSplit !== undefined && { valSplit }), ...(seed !== undefined && { seed }) };
  const namedFolder = await folderAt(dataPath ?? null);
  const runs = await runsAmong(words, namedFolder);
  const [first] = learntFrom({ folder: namedFolder, dataSet }, runs);
  if (first === undefined) return { options: { ...named, ...chosen }, notes: [] };
  if (dataPath === undefined && first.folder !== null && first.folder.place === undefined)
    throw imagesGone(
      first.word,
      first.folder.path,
      "Give their present folder with --data-path: the images that the run held out are found by name.",
    );
  const dataset = { dataPath: first.dataPath, dataSet: first.dataSet, ...named };
  const folder = dataPath === undefined ? first.folder : namedFolder;
  const own = learntFrom({ folder, dataSet: dataset.dataSet }, runs);
  const part = { ...heldBackByMost(own, chosen.seed), ...chosen };
  const options = { ...dataset, ...part };
  const isChosen = Object.keys(chosen).length > 0;
  const recorded = isChosen ? [] : await heldOutImages(own);
  const goingByRecord = { ...options, ...(recorded.length > 0 && { recorded }) };
  const choices = recorded.length > 0 ? await choiceNotes(own) : [];
  if (!(await isSplitByChance(options))) return { options: goingByRecord, notes: choices };
  const spoilt = own.filter((run) => !holdsBack(run, part));
  if (spoilt.length > 0 && spoilt.length < own.length && !isChosen) throw differentParts(own, options);
  return {
    options: spoilt.length > 0 ? options : goingByRecord,
    notes: [
      ...movedNotes(own, folder),
      ...(spoilt.length > 0 ? spoilt.map((run) => spoiltNote(run, options)) : choices),
    ],
  };
}

/** Of runs whose epoch was chosen on the images that they are measured with. */
async function choiceNotes(runs: readonly Run[]): Promise<string[]> {
  const { readSelection } = await import("../training/run/run-selection.ts");
  const notes: string[] = [];
  for (const { word } of runs) {
    const { path } = namedCheckpoint(word);
    if (/^(?:last|ema)\.safetensors$/.test(basename(path))) continue;
    const selection = await readSelection(runFolder(path));
    if (selection?.rule === "best" && selection.epochs > 1)
      notes.push(
        `${word} is the best of ${selection.epochs} epochs by the images that it held out: expect less on new ones`,
      );
  }
  return notes;
}

/** The lists of the runs' images; none unless every run kept one and held images out. */
async function heldOutImages(runs: readonly Run[]): Promise<RecordedImages[]> {
  const lists: RecordedImages[] = [];
  for (const { word } of runs) {
    const list = await runImages(namedCheckpoint(word).path);
    const hasHeldOut = [...(list?.images?.values() ?? [])].some(({ part }) => part === "validation");
    if (list === undefined || !hasHeldOut) return [];
    lists.push(list);
  }
  return lists;
}

async function runsAmong(words: readonly string[], named: Folder | null): Promise<Run[]> {
  const runs: Run[] = [];
  for (const word of words) {
    const options = await runData(namedCheckpoint(word).path);
    if (options === undefined) continue;
    const folder = await folderAt(options.dataPath);
    const isLost = folder !== null && folder.place === undefined && named !== null;
    const found = isLost && (await hasImagesOf(word, named)) ? named.path : undefined;
    runs.push({ word, ...options, folder: folder && { ...folder, found } });
  }
  return runs;
}

/** Images of a run that are looked for. */
const LOOKED_FOR = 20;

/** Whether most of the images that a run kept a list of are in a folder, by their names. */
async function hasImagesOf(word: string, { path }: Folder): Promise<boolean> {
  const list = await runImages(namedCheckpoint(word).path);
  if (list === undefined || list.ownValidation) return false;
  const keys = [...(list.images?.keys() ?? [])];
  const step = Math.max(1, Math.floor(keys.length / LOOKED_FOR));
  const some = keys.filter((_, i) => i % step === 0);
  const here = await Promise.all(
    some.map(async (key) =>
      stat(join(path, key)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return 2 * here.filter(Boolean).length > some.length;
}

async function folderAt(path: string | null): Promise<Folder | null> {
  return path === null ? null : { path, place: await realpath(path).catch(() => undefined) };
}

/** The runs that were trained on those images; all of them where nothing is said of images. */
function learntFrom(
  { folder, dataSet }: { folder: Folder | null; dataSet: DatasetOptions["dataSet"] | undefined },
  runs: readonly Run[],
): Run[] {
  return runs.filter(
    (run) =>
      (folder === null || (run.folder !== null && sameOrMoved(run.folder, folder) !== undefined)) &&
      // in a folder, "auto" and "folder" are the same images
      (folder !== null || dataSet === undefined || dataSet === run.dataSet),
  );
}

/**
 * Whether a run's folder is the one that is named now. A path of a run is from where it was started, perhaps on another
 * machine: where it leads nowhere, a folder of the same name is taken for the one that it was.
 */
function sameOrMoved(ofRun: Folder, named: Folder): "same" | "moved" | undefined {
  if (resolve(ofRun.path) === resolve(named.path)) return "same";
  if (ofRun.found === named.path) return "moved";
  if (ofRun.place !== undefined) return ofRun.place === named.place ? "same" : undefined;
  return basename(resolve(ofRun.path)) === basename(resolve(named.path)) ? "moved" : undefined;
}

/** Whether the folder has no validation images of its own. */
async function isSplitByChance({
  dataPath,
  dataSet,
}: Pick<DatasetOptions, "dataPath" | "dataSet">): Promise<boolean> {
  if (dataPath === null) return false; // CIFAR
  const { locateDataset } = await import("../data/locate.ts");
  return (await locateDataset(dataPath, { asClasses: dataSet === "folder" })).validation === undefined;
}

/** The largest part that as many of the runs as can be held out: of one seed, a smaller part lies within a larger one. */
function heldBackByMost(runs: readonly Run[], givenSeed: number | undefined): Part {
  const first = runs.find(({ valSplit }) => valSplit > 0) ?? runs[0];
  const seed = givenSeed ?? first?.seed ?? 0;
  const shares = runs.filter((run) => run.seed === seed && run.valSplit > 0).map(({ valSplit }) => valSplit);
  return { seed, valSplit: shares.length > 0 ? Math.min(...shares) : (first?.valSplit ?? 0) };
}

function holdsBack(run: Run, { valSplit, seed }: Part): boolean {
  return valSplit > 0 && valSplit <= run.valSplit && seed === run.seed;
}

function differentParts(runs: readonly Run[], { dataPath, valSplit, seed }: DatasetOptions): ConfigError {
  const parts = runs.map((run) => `${run.word} ${partName(run)}`).join(", ");
  return new ConfigError("valSplit", `the runs held out different images of ${dataPath}: ${parts}`, {
    code: "run/other-images",
    hint:
      "No split was held out by all of them. Compare on other images (--data-path), or train with one --seed and --val-split. " +
      `To evaluate anyway, choose a split: --val-split ${valSplit} --seed ${seed}`,
  });
}

function movedNotes(runs: readonly Run[], measured: Folder | null): string[] {
  return runs.flatMap(({ word, folder }) =>
    folder !== null && measured !== null && sameOrMoved(folder, measured) === "moved"
      ? [
          `${word} was trained on ${folder.path}, which is not there: ${measured.path} is used instead, and the part that was held out is evaluated (all: --val-split 0)`,
        ]
      : [],
  );
}

function spoiltNote(run: Run, measured: DatasetOptions): string {
  const { word, valSplit } = run;
  if (valSplit === 0) return `${word} was trained on the images that it is measured on: it held none out`;
  const part = measured.valSplit === 0 ? "all" : partName(measured);
  return `${word} was trained on some of the images that it is measured on: of ${measured.dataPath} it held out ${partName(run)}, measured is ${part}`;
}

function partName({ valSplit, seed }: Part): string {
  return valSplit === 0 ? "none" : `${Number((100 * valSplit).toFixed(2))} % by seed ${seed}`;
}
