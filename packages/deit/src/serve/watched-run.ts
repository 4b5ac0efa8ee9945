/** A run as it is now, read from its folder while another process trains: what is done, how fast, and what is left. */
import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { isAlive, isHere, parseHolder } from "../data/lock-holder.ts";
import { firstLine } from "../errors.ts";
import { readRun, RUN_FILES } from "../training/run/run-folder.ts";
import { LOCK_FILE } from "../training/run/run-lock.ts";
import type { EpochRecord } from "../training/run/run-log.ts";
import { readRecord } from "../training/run/run-record.ts";

export interface WatchedRun {
  readonly name: string;
  /** training: a process has it open; unknown: one on another machine may. */
  readonly state: "training" | "finished" | "stopped" | "unknown" | "unreadable";
  readonly problem?: string;
  readonly model: string;
  readonly epochs: number;
  readonly log: readonly EpochRecord[];
  /** Of the last epochs, a median. */
  readonly secondsPerEpoch: number | undefined;
  readonly secondsLeft: number | undefined;
  /** Images to train by the time of an epoch, its validation included; undefined in runs without a record. */
  readonly imagesPerSecond: number | undefined;
}

/** Epochs whose times say how long the next will take. */
const RECENT = 5;

/** Names of runs by their folders: the last part, and more of it where two have the same. */
export function runNames(folders: readonly string[]): string[] {
  const paths = folders.map((folder) => resolve(folder).split(/[/\\]/));
  return paths.map((path, i) => {
    for (let parts = 1; parts < path.length; parts++) {
      const name = path.slice(-parts).join("/");
      if (paths.every((other, j) => i === j || other.slice(-parts).join("/") !== name)) return name;
    }
    return path.join("/");
  });
}

/** What changes when a run goes on. */
export async function runStamp(folder: string): Promise<string> {
  const files = [RUN_FILES.log, RUN_FILES.args, LOCK_FILE];
  const found = await Promise.all(files.map(async (name) => stat(join(folder, name)).catch(() => undefined)));
  return found.map((entry) => `${entry?.size} ${entry?.mtimeMs}`).join(" ");
}

export async function watchRun(folder: string, name = basename(resolve(folder))): Promise<WatchedRun> {
  try {
    const { args, log } = await readRun(folder);
    const epochs = typeof args["epochs"] === "number" ? args["epochs"] : log.length;
    const model = typeof args["model"] === "string" ? args["model"] : "";
    const done = (log.at(-1)?.epoch ?? -1) + 1;
    const times = log
      .slice(-RECENT)
      .flatMap(({ seconds }) => (typeof seconds === "number" ? [seconds] : []))
      .toSorted((a, b) => a - b);
    const secondsPerEpoch = times[Math.floor(times.length / 2)];
    const holder = await holderOf(folder);
    const state = holder ?? (done >= epochs ? "finished" : "stopped");
    const secondsLeft =
      state === "training" && secondsPerEpoch !== undefined ? secondsPerEpoch * (epochs - done) : undefined;
    const images = (await readRecord(folder))?.images.train;
    const imagesPerSecond = images !== undefined && secondsPerEpoch ? images / secondsPerEpoch : undefined;
    return { name, state, model, epochs, log, secondsPerEpoch, secondsLeft, imagesPerSecond };
  } catch (error) {
    const none = { secondsPerEpoch: undefined, secondsLeft: undefined, imagesPerSecond: undefined };
    return { name, state: "unreadable", problem: firstLine(error), model: "", epochs: 0, log: [], ...none };
  }
}

async function holderOf(folder: string): Promise<"training" | "unknown" | undefined> {
  const text = await readFile(join(folder, LOCK_FILE), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const holder = parseHolder(text);
  if (holder === undefined) return "training"; // it is being written
  if (!isHere(holder)) return "unknown";
  return (await isAlive(holder)) ? "training" : undefined;
}
