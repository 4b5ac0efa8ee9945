/**
 * The pictures that a command measures checkpoints with: those of a run among them while no others are named, and of
 * these the part that the runs held back. What a run trained on is measured only where a flag says so, and never silently.
 */
import { realpath } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { TrainOptions } from "../config/schema.ts";
import { ConfigError } from "../errors.ts";
import { namedCheckpoint } from "../evaluation/named-checkpoint.ts";
import { runOptions } from "./run-options.ts";

type Pictures = Pick<TrainOptions, "dataPath" | "dataSet" | "valSplit" | "seed">;

export interface RunPictures {
  /** Those of the runs, and what flags say of them. */
  readonly options: Partial<Pictures>;
  /** What the user should know, a sentence each. */
  readonly notes: readonly string[];
}

/** A run, as the command line names it, and its pictures. */
interface Run extends Pictures {
  readonly word: string;
}

/** Pictures that are held back by chance. */
type Part = Pick<Pictures, "valSplit" | "seed">;

/**
 * @param words checkpoints as they were given, `name=` before them or not; those that are no runs are passed over
 * @param flags of the command line
 * @throws ConfigError when the runs held back different pictures, and no flag says which are meant
 */
export async function runPictures(
  words: readonly string[],
  { dataPath, dataSet, valSplit, seed }: Partial<Pictures>,
): Promise<RunPictures> {
  const named = { ...(dataPath !== undefined && { dataPath }), ...(dataSet !== undefined && { dataSet }) };
  const chosen = { ...(valSplit !== undefined && { valSplit }), ...(seed !== undefined && { seed }) };
  const runs = await runsAmong(words);
  const [first] = await learntFrom(named, runs);
  if (first === undefined) return { options: { ...named, ...chosen }, notes: [] };
  const pictures = { dataPath: first.dataPath, dataSet: first.dataSet, ...named };
  const own = await learntFrom(pictures, runs);
  const part = { ...heldBackByMost(own, chosen.seed), ...chosen };
  const options = { ...pictures, ...part };
  if (!(await isSplitByChance(options.dataPath))) return { options, notes: [] };
  const spoilt = own.filter((run) => !holdsBack(run, part));
  if (spoilt.length > 0 && spoilt.length < own.length && Object.keys(chosen).length === 0)
    throw differentParts(own, options);
  return {
    options,
    notes: [...(await movedNotes(own, options)), ...spoilt.map((run) => spoiltNote(run, options))],
  };
}

async function runsAmong(words: readonly string[]): Promise<Run[]> {
  const runs: Run[] = [];
  for (const word of words) {
    const options = await runOptions(namedCheckpoint(word).path);
    if (options !== undefined) runs.push({ word, ...options });
  }
  return runs;
}

/** The runs that were trained on those pictures; all of them where nothing is said of pictures. */
async function learntFrom(
  { dataPath, dataSet }: Partial<Pick<Pictures, "dataPath" | "dataSet">>,
  runs: readonly Run[],
): Promise<Run[]> {
  const found: Run[] = [];
  for (const run of runs) {
    const sameFolder =
      dataPath !== undefined && dataPath !== null && run.dataPath !== null
        ? (await sameOrMoved(run.dataPath, dataPath)) !== undefined
        : (dataPath ?? run.dataPath) === run.dataPath;
    // in a folder, "auto" and "folder" are the same pictures
    if (sameFolder && (dataPath != null || dataSet === undefined || dataSet === run.dataSet)) found.push(run);
  }
  return found;
}

/**
 * Whether a run's folder is the one that is named now. A path of a run is from where it was started, perhaps on another
 * machine: where it leads nowhere, a folder of the same name is taken for the one that it was.
 */
async function sameOrMoved(ofRun: string, named: string): Promise<"same" | "moved" | undefined> {
  const [before, now] = await Promise.all(
    [ofRun, named].map(async (path) => realpath(path).catch(() => undefined)),
  );
  if (resolve(ofRun) === resolve(named) || (before !== undefined && before === now)) return "same";
  return before === undefined && basename(resolve(ofRun)) === basename(resolve(named)) ? "moved" : undefined;
}

/** Whether the folder has no validation pictures of its own. */
async function isSplitByChance(dataPath: string | null): Promise<boolean> {
  if (dataPath === null) return false; // CIFAR
  const { locateDataset } = await import("../data/locate.ts");
  return (await locateDataset(dataPath)).validation === undefined;
}

/** The largest part that as many of the runs as can be held back: of one seed, a smaller part lies within a larger one. */
function heldBackByMost(runs: readonly Run[], givenSeed: number | undefined): Part {
  const first = runs.find(({ valSplit }) => valSplit > 0) ?? runs[0];
  const seed = givenSeed ?? first?.seed ?? 0;
  const shares = runs.filter((run) => run.seed === seed && run.valSplit > 0).map(({ valSplit }) => valSplit);
  return { seed, valSplit: shares.length > 0 ? Math.min(...shares) : (first?.valSplit ?? 0) };
}

function holdsBack(run: Run, { valSplit, seed }: Part): boolean {
  return valSplit > 0 && valSplit <= run.valSplit && seed === run.seed;
}

function differentParts(runs: readonly Run[], { dataPath, valSplit, seed }: Pictures): ConfigError {
  const parts = runs.map((run) => `${run.word} ${partName(run)}`).join(", ");
  return new ConfigError("valSplit", `the runs held back different pictures of ${dataPath}: ${parts}`, {
    hint:
      "Whichever are measured, some run has trained on them. Compare on other pictures (--data-path), or train with one --seed and --val-split. " +
      `To measure some all the same, say which: --val-split ${valSplit} --seed ${seed}`,
  });
}

async function movedNotes(runs: readonly Run[], { dataPath }: Pictures): Promise<string[]> {
  const notes: string[] = [];
  for (const run of runs)
    if (run.dataPath !== null && (await sameOrMoved(run.dataPath, dataPath ?? "")) === "moved")
      notes.push(
        `${run.word} was trained on ${run.dataPath}, which is not to be found from here: ${dataPath} is taken for it, and the part that was held back is measured (all: --val-split 0)`,
      );
  return notes;
}

function spoiltNote(run: Run, measured: Pictures): string {
  const { word, valSplit } = run;
  if (valSplit === 0) return `${word} trained on the pictures that it is measured with: it held none back`;
  const part = measured.valSplit === 0 ? "all" : partName(measured);
  return `${word} trained on some of the pictures that it is measured with: of ${measured.dataPath} it held back ${partName(run)}, measured are ${part}`;
}

function partName({ valSplit, seed }: Part): string {
  return valSplit === 0 ? "none" : `${Number((100 * valSplit).toFixed(2))} % by seed ${seed}`;
}
