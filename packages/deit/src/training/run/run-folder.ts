/**
 * The folder of a run: options, log, weights, state; locked while in use, resumed when opened again.
 * state.safetensors is the only truth. Save in this order at the end of an epoch: appendEpoch, saveState,
 * saveModel. Then a kill at any moment leaves either the state before, and the log is cut back to it, or the
 * state after, and at most the models are an epoch behind, which `staleModels` tells: the state has those weights.
 */
import { appendFile, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { parse as parseYaml, stringify as stringifyYaml } from "yaml";
import { ConfigError, DeitError, FormatError } from "../../errors.ts";
import { describeWriteFailure, removeTemporaries, writeFileAtomic } from "../../formats/atomic-file.ts";
import { isTemporaryName } from "../../formats/left-overs.ts";
import { openSafetensors, writeCheckpoint } from "../../formats/safetensors-file.ts";
import { encodeModelMetadata } from "../../formats/model-metadata.ts";
import { describeEnvironment } from "./run-environment.ts";
import type { RunEnvironment } from "./run-environment.ts";
import { acquireLock, LOCK_FILE } from "./run-lock.ts";
import { formatLog, formatSummary, parseLog } from "./run-log.ts";
import type { EpochRecord } from "./run-log.ts";
import { encodeState } from "./run-state.ts";
import { readState, readStateHeader, writeState } from "./run-state-file.ts";
import type { StateHeader } from "./run-state.ts";
import type { RunIdentity, RunParts } from "./run-record.ts";
import { keepRecord, readRecord, RECORD_FILES } from "./run-record.ts";
import type { ModelKind, RunStore } from "./run-store.ts";
import { expectedModels, STORE_FILES } from "./run-store.ts";
import type { RunArgs, SameOptions } from "./same-options.ts";
import { asJson, differingOptions, flagsOf, otherOptions } from "./same-options.ts";

/** Names in a run folder. */
export const RUN_FILES = {
  args: "args.yaml",
  ...STORE_FILES,
  ...RECORD_FILES,
} as const;

export type { ModelKind } from "./run-store.ts";
export type { RunArgs } from "./same-options.ts";
import { shellWord } from "../../printable.ts";

/** On a resume the options are compared as {@link SameOptions} say. */
export interface OpenRunOptions extends SameOptions {
  /** Every option of the run, the seed included. Values that JSON cannot hold are dropped. */
  args: Readonly<Record<string, unknown>>;
  /** Versions of the program and its libraries, for the record. */
  versions?: Readonly<Record<string, string>>;
  /** The command line, for the record. */
  command?: readonly string[];
  /** What the run is made of, for its record. */
  parts?: RunParts;
}

/** An open run folder. Close it, or declare it with `await using`. */
export interface RunFolder extends RunStore, AsyncDisposable {
  /** What the run keeps of its images; undefined where nothing was said of them. */
  readonly record: RunIdentity | undefined;
  /** What was put right on opening, a line each, for the user. */
  readonly notes: readonly string[];
  /** Gives the folder free. */
  close(): Promise<void>;
}

/**
 * Creates a run in a new or empty folder, or resumes the run that is there.
 * @throws ConfigError when the folder is in use, holds something else, or a run with other options
 * @throws FormatError when its state is damaged; DeitError when it cannot be written
 */
export async function openRunFolder(
  path: string,
  { args, versions = {}, command = [], parts, ...rules }: OpenRunOptions,
): Promise<RunFolder> {
  const given = asJson(args);
  // Looked at before the lock is made, so that a stranger's folder is left exactly as it is.
  await inspect(path);
  await mkdir(path, { recursive: true }).catch(async (error: unknown) => {
    throw await describeWriteFailure(error, { path, what: "the run" });
  });
  const lock = await acquireLock(path);
  try {
    await removeTemporaries(path);
    // With a list of the images, these may lie elsewhere now.
    const mayDiffer = [...(rules.mayDiffer ?? []), ...((await readRecord(path)) ? ["dataPath"] : [])];
    const { sessions, state } = await inspect(path, { args: given, ...rules, mayDiffer });
    const session = {
      started: new Date().toISOString(),
      epoch: state?.counters.epoch ?? 0,
      command,
      ...(await describeEnvironment({ versions })),
    };
    await writeArgs(path, { args: given, sessions: [...sessions, session] });
    const { record, note } = await keepRecord(path, {
      parts,
      state: state && { run: state.run, epoch: state.counters.epoch },
    });
    const notes = await alignLog(path, state?.log ?? []);
    return openedRun(path, {
      args: given,
      record,
      log: [...(state?.log ?? [])],
      notes: note === undefined ? notes : [...notes, note],
      staleModels: await findStale(path, state),
      state,
      release: lock.release,
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

interface OpenedRun {
  args: RunArgs;
  record: RunIdentity | undefined;
  log: EpochRecord[];
  notes: readonly string[];
  staleModels: readonly ModelKind[];
  state: StateHeader | null;
  release: () => Promise<void>;
}

function openedRun(
  path: string,
  { args, record, log, notes, staleModels, state, release }: OpenedRun,
): RunFolder {
  const run = record?.run ?? state?.run;
  const at = (name: keyof typeof RUN_FILES): string => join(path, RUN_FILES[name]);
  return {
    path,
    resumed: state !== null,
    record,
    log,
    notes,
    staleModels,
    async appendEpoch(epoch) {
      const last = log.at(-1)?.epoch ?? -1;
      if (epoch.epoch <= last)
        throw new DeitError(`Epoch ${epoch.epoch} cannot be logged after epoch ${last}.`, {
          code: "run/log-order",
        });
      const line = formatLog([epoch]);
      await appendFile(at("log"), line).catch(async (error: unknown) => {
        throw await describeWriteFailure(error, { path: at("log"), what: "the log", needed: line.length });
      });
      log.push(epoch);
      await writeFileAtomic(at("summary"), formatSummary(log), { what: "the summary" });
    },
    async saveState(next) {
      await writeState(at("state"), encodeState(next, { log, args, run }));
    },
    async loadState() {
      return (await exists(at("state"))) ? readState(at("state")) : null;
    },
    async saveModel(kind, tensors, metadata) {
      await writeCheckpoint(
        at(kind),
        { tensors, metadata: encodeModelMetadata(metadata) },
        { what: `the ${kind} model` },
      );
    },
    close: release,
    [Symbol.asyncDispose]: release,
  };
}

/** One start of the program in a run folder. */
export interface RunSession extends RunEnvironment {
  readonly started: string;
  /** Epochs that were complete then. */
  readonly epoch: number;
  readonly command: readonly string[];
}

/** What can be read of a run without opening it: also while it runs. */
export interface RunRecord {
  readonly args: RunArgs;
  readonly sessions: readonly RunSession[];
  readonly log: readonly EpochRecord[];
}

/** Whether a folder is a run of ours: it has an args.yaml of ours or a state. */
export async function isRunFolder(path: string): Promise<boolean> {
  if (await exists(join(path, RUN_FILES.state))) return true;
  const text = await readFile(join(path, RUN_FILES.args), "utf8").catch(() => "");
  return text.startsWith(ARGS_HEADING);
}

/** Reads options, history and log of a run. Throws FormatError for a damaged args.yaml, DeitError for no run. */
export async function readRun(path: string): Promise<RunRecord> {
  if (!(await isRunFolder(path))) {
    throw new DeitError((await exists(path)) ? `${path} is not a run folder.` : `there is no run ${path}.`, {
      code: "run/no-run",
      hint: `A run folder has ${RUN_FILES.args}; deit train --output-dir makes one.`,
    });
  }
  const { args, sessions } = await readArgs(path);
  const log = await readFile(join(path, RUN_FILES.log), "utf8").catch(() => "");
  return { args, sessions, log: parseLog(log) };
}

const ARGS_HEADING = "# A run of deit train.";

async function writeArgs(
  path: string,
  content: { args: RunArgs; sessions: readonly RunSession[] },
): Promise<void> {
  const heading = `${ARGS_HEADING} Starting it again in this folder with the same args resumes it.\n`;
  await writeFileAtomic(join(path, RUN_FILES.args), heading + stringifyYaml(content), {
    what: "the options of the run",
  });
}

async function readArgs(path: string): Promise<{ args: RunArgs; sessions: readonly RunSession[] }> {
  const file = join(path, RUN_FILES.args);
  try {
    const content: unknown = parseYaml(await readFile(file, "utf8"), { logLevel: "error" });
    if (isRecord(content) && isRecord(content["args"]) && Array.isArray(content["sessions"])) {
      return { args: asJson(content["args"]), sessions: content["sessions"] as RunSession[] };
    }
  } catch (cause) {
    throw new FormatError(file, `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      code: "run/unreadable",
      hint: ARGS_HINT,
      cause,
    });
  }
  throw new FormatError(file, 'has no "args" and "sessions"', { code: "run/unreadable", hint: ARGS_HINT });
}

const ARGS_HINT =
  "It was edited or damaged. Choose another --output-dir, or delete the folder to start over.";

interface Wanted extends SameOptions {
  args: RunArgs;
}

/**
 * What is in the folder, read before anything is changed. Refuses what cannot become, or go on as, a run with
 * these options (compared only when given).
 */
async function inspect(
  path: string,
  wanted?: Wanted,
): Promise<{ sessions: readonly RunSession[]; state: StateHeader | null }> {
  const names = await readdir(path).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return [];
    if (hasCode(error, "ENOTDIR")) throw notARun(path, "is a file");
    throw new ConfigError("outputDir", `Cannot read ${path}: ${String(error)}`, {
      code: "run/unreadable",
      hint: "Choose another --output-dir.",
      cause: error,
    });
  });
  const content = names.filter((name) => name !== LOCK_FILE && !isTemporaryName(name));
  if (content.length === 0) return { sessions: [], state: null };
  if (!(await isRunFolder(path)))
    throw notARun(
      path,
      `is not empty and is not a run folder (it has ${content.slice(0, 3).join(", ")}${content.length > 3 ? ", …" : ""})`,
    );
  const state = content.includes(RUN_FILES.state) ? await readStateHeader(join(path, RUN_FILES.state)) : null;
  if (state === null && (content.includes(RUN_FILES.best) || content.includes(RUN_FILES.last))) {
    throw new ConfigError(
      "outputDir",
      `${path} holds a trained model but no ${RUN_FILES.state} to resume from.`,
      {
        code: "run/no-state",
        hint: "Choose another --output-dir, or delete the folder to start over.",
      },
    );
  }
  // With a state its own copy of the options counts: args.yaml may have been edited or lost.
  const recorded = await readArgs(path).catch((error: unknown) => {
    if (state !== null) return { args: state.args, sessions: [] };
    throw error;
  });
  // A run that never saved has nothing to lose: it starts anew, with whatever options.
  if (wanted !== undefined && state !== null) compareArgs(path, state.args, wanted);
  return { sessions: recorded.sessions, state };
}

function notARun(path: string, problem: string): ConfigError {
  return new ConfigError("outputDir", `${path} ${problem}.`, {
    code: "run/not-empty",
    hint: "Choose another --output-dir: a new folder, an empty one, or a run to resume.",
  });
}

/** @throws ConfigError for a run with other options */
function compareArgs(path: string, there: RunArgs, { args, ...rules }: Wanted): void {
  const differing = differingOptions(there, args, rules);
  if (differing.length === 0) return;
  const flags = flagsOf(differing);
  const [first, ...others] = differing;
  const isLonger =
    first?.key === "epochs" && others.length === 0 && Number(first.given) > Number(first.there);
  const longer = isLonger
    ? `, train that run longer with: deit train ${shellWord(path)} --epochs ${first.given}`
    : "";
  const matching =
    flags === undefined
      ? ", or pass the options of that run to resume it"
      : `, or resume that run with: ${flags}`;
  throw otherOptions(path, differing, `Choose another --output-dir${longer}${matching}`);
}

/** Makes log.jsonl and summary.csv say what the state says. Returns what had to be changed. */
async function alignLog(path: string, records: readonly EpochRecord[]): Promise<string[]> {
  const file = join(path, RUN_FILES.log);
  const expected = formatLog(records);
  const found = await readFile(file, "utf8").catch(() => "");
  const summary = formatSummary(records);
  if (
    found === expected &&
    (await readFile(join(path, RUN_FILES.summary), "utf8").catch(() => "")) === summary
  )
    return [];
  await writeFileAtomic(file, expected, { what: "the log" });
  await writeFileAtomic(join(path, RUN_FILES.summary), summary, { what: "the summary" });
  const ahead = parseLog(found).length - records.length;
  if (ahead > 0)
    return [
      `${RUN_FILES.log} was ${ahead} ${ahead === 1 ? "epoch" : "epochs"} ahead of the last saved state: cut back.`,
    ];
  return found === expected || found === ""
    ? []
    : [`${RUN_FILES.log} differed from the last saved state: written again.`];
}

async function findStale(path: string, state: StateHeader | null): Promise<ModelKind[]> {
  const stale: ModelKind[] = [];
  for (const [kind, epoch] of state === null ? [] : expectedModels(state))
    if ((await modelEpoch(join(path, RUN_FILES[kind]))) !== epoch) stale.push(kind);
  return stale;
}

/** The epoch that a model file says it is of; undefined when it is missing or damaged. */
async function modelEpoch(path: string): Promise<number | undefined> {
  try {
    await using file = await openSafetensors(path);
    return Number(file.metadata["epoch"]);
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
