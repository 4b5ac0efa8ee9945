/**
 * Hours of training and hundreds of thousands of predictions, side by side; their memory, looked at every ten seconds, must
 * be flat. Time in which the whole group of processes is stopped (SIGSTOP) does not count. Linux only.
 */
import { spawn } from "node:child_process";
import { appendFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { growth, usageOf } from "./memory.ts";
import type { PartResult } from "./report.ts";

const INTERVAL_MS = 10_000;
const CLI = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));

export interface SoakOptions {
  /** A folder of CIFAR-10; undefined: the user's cache. */
  readonly dataPath: string | undefined;
  /** Folders of images. */
  readonly photos: readonly string[];
  /** Where the run, the answers and the samples go. */
  readonly out: string;
  readonly minutes: number;
  readonly images: number;
  /** Words of `deit train` in place of cifar10-small on 3,000 images; a run that is there already is resumed. */
  readonly train?: readonly string[] | undefined;
  readonly interval?: number;
}

export interface Watched extends PartResult {
  readonly name: string;
}

/** Trains for `minutes`; meanwhile a first run of an epoch answers `images` times. */
export async function soak(options: SoakOptions): Promise<Watched[]> {
  const { dataPath, photos, out, minutes, images } = options;
  await mkdir(out, { recursive: true });
  const names: string[] = [];
  for (const folder of photos)
    for (const name of await readdir(folder, { recursive: true }))
      if (/\.(?:jpe?g|png)$/i.test(name)) names.push(join(folder, name));
  if (names.length === 0) throw new Error("--photos: expected a folder of .jpg or .png files");
  const small = ["cifar10-small", "--num-train", "3000", "--warmup-epochs", "0"];
  const data = dataPath === undefined ? [] : ["--data-path", dataPath];
  const train = (run: string, words: readonly string[]): string[] => [
    CLI,
    "train",
    ...words,
    ...data,
    "--output-dir",
    join(out, run),
  ];
  const first = await watch("first", train("first", [...small, "--epochs", "1"]), options);
  if (first.faults.some((fault) => fault.startsWith("it ended"))) return [first];
  const list = Array.from({ length: images }, (_, i) => names[i % names.length]).join("\n");
  const answers = ["--out", join(out, "answers.csv")];
  return Promise.all([
    watch("train", train("run", options.train ?? [...small, "--epochs", "100000"]), {
      ...options,
      seconds: 60 * minutes,
    }),
    watch("predict", [CLI, "predict", join(out, "first"), "-", ...answers], {
      ...options,
      input: list,
      count: images,
    }),
  ]);
}

/** Samples a command until it ends, or until it was awake for `seconds` and is interrupted. */
async function watch(
  name: string,
  args: readonly string[],
  {
    out,
    interval = INTERVAL_MS,
    seconds = Infinity,
    input = "",
    count,
  }: SoakOptions & { seconds?: number; input?: string; count?: number },
): Promise<Watched> {
  const file = join(out, `${name}.csv`);
  await writeFile(file, "seconds,awake_seconds,cpu_seconds,mb\n");
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const log = (chunk: Buffer): void => void appendFile(join(out, `${name}.txt`), chunk);
  child.stdout.on("data", log);
  child.stderr.on("data", log);
  child.stdin.end(input);
  const ended = new Promise<string>((resolve) =>
    child.once("exit", (code, signal) => resolve(String(signal ?? code))),
  );
  const start = performance.now();
  const samples: number[] = [];
  let [awake, last, isAsked] = [0, start, false];
  const sample = async (): Promise<void> => {
    const now = performance.now();
    awake += Math.min(now - last, 2 * interval);
    last = now;
    const usage = child.pid === undefined ? undefined : await usageOf(child.pid);
    if (usage === undefined) return;
    samples.push(usage.bytes);
    const row = [(now - start) / 1000, awake / 1000, usage.cpuSeconds, usage.bytes / 1e6];
    await appendFile(file, `${row.map((value) => value.toFixed(1)).join()}\n`);
    if (awake / 1000 > seconds && !isAsked) isAsked = child.kill("SIGINT");
  };
  const timer = setInterval(() => void sample(), interval);
  const end = await ended;
  clearInterval(timer);
  const grown = growth(samples);
  const faults = grown === undefined ? [] : [grown];
  if (end !== (seconds < Infinity ? "130" : "0")) faults.push(`it ended with ${end}`);
  return {
    name,
    count: count ?? Math.round(awake / 1000),
    faults,
    worstSeconds: awake / 1000,
    worstBytes: Math.max(0, ...samples),
  };
}
