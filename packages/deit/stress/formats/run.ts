/**
 * Damaged files of every format that is read, each made from its own seed. A fault is an error without a code (which would be
 * printed as a stack trace), a rejection that nobody handles, a process that ends, more than 10 s or more than 1 GB above
 * what the process held when it began.
 */
import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PartResult } from "../report.ts";
import type { Message, Range } from "./child.ts";

const LONGEST_MS = 10_000;
const LARGEST_BYTES = 1e9;
/** Without a sign of life: a process that waits for what never comes, on a machine that may be busy. */
const SILENCE_MS = 600_000;

interface Worst {
  /** Of all files together. */
  readonly total: number;
  readonly milliseconds: number;
  readonly bytes: number;
}

export interface FormatsResult extends PartResult {
  /** Files by kind and what came of them. */
  readonly tallies: ReadonlyMap<string, number>;
  /** By kind. */
  readonly worst: ReadonlyMap<string, Worst>;
}

/** Tries `count` seeds from `seed` on. */
export async function stressFormats({
  count,
  seed,
  kind,
  onFault = () => {},
}: {
  count: number;
  seed: number;
  kind?: string | undefined;
  onFault?: (text: string) => void;
}): Promise<FormatsResult> {
  const tallies = new Map<string, number>();
  const worst = new Map<string, Worst>();
  const faults: string[] = [];
  let next = seed;
  const fault = (text: string): void => {
    faults.push(text);
    onFault(text);
  };
  while (next < seed + count) {
    const root = await mkdtemp(join(tmpdir(), "deit-mutants-"));
    const range: Range = { root, from: next, to: seed + count, kind };
    const child = fork(fileURLToPath(new URL("child.ts", import.meta.url)), [JSON.stringify(range)]);
    let isStuck = false;
    const impatient = (): NodeJS.Timeout =>
      setTimeout(() => {
        isStuck = true;
        child.kill("SIGKILL");
      }, SILENCE_MS);
    let timer = impatient();
    child.on("message", (message: Message) => {
      clearTimeout(timer);
      timer = impatient();
      if ("at" in message) next = message.at;
      else if ("unhandled" in message) fault(`seed ${next}: nobody handles ${message.unhandled}`);
      else {
        const { kind: what, result, milliseconds, bytes, fault: text } = message.outcome;
        const key = `${what}: ${result}`;
        tallies.set(key, (tallies.get(key) ?? 0) + 1);
        const before = worst.get(what) ?? { total: 0, milliseconds: 0, bytes: 0 };
        worst.set(what, {
          total: before.total + milliseconds,
          milliseconds: Math.max(before.milliseconds, milliseconds),
          bytes: Math.max(before.bytes, bytes),
        });
        const about = `seed ${next}, ${what}`;
        next = message.outcome.seed + 1;
        if (text !== undefined) fault(`${about}: ${text}`);
        else if (milliseconds > LONGEST_MS) fault(`${about}: ${(milliseconds / 1000).toFixed(1)} s`);
        else if (bytes > LARGEST_BYTES) fault(`${about}: ${Math.round(bytes / 1e6)} MB`);
      }
    });
    const ended = await new Promise((resolve) =>
      child.once("exit", (code, signal) => resolve(signal ?? code)),
    );
    clearTimeout(timer);
    await rm(root, { recursive: true, force: true });
    if (ended === 0) continue;
    fault(
      `seed ${next}: ${isStuck ? `says nothing for ${SILENCE_MS / 1000} s` : `the process ended with ${String(ended)}`}`,
    );
    next++;
  }
  return {
    count,
    faults,
    worstSeconds: Math.max(0, ...[...worst.values()].map(({ milliseconds }) => milliseconds)) / 1000,
    worstBytes: Math.max(0, ...[...worst.values()].map(({ bytes }) => bytes)),
    tallies,
    worst,
  };
}
