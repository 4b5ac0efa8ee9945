/** Run folders: create, resume, refuse; locks; and a process killed at random moments that always leaves a whole run. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ConfigError, FormatError } from "../../../src/errors.ts";
import { decodeModelMetadata } from "../../../src/formats/model-metadata.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/safetensors-file.ts";
import { createRandom } from "../../../src/random.ts";
import { isRunFolder, openRunFolder, readRun } from "../../../src/training/run/run-folder.ts";
import type { EpochRecord } from "../../../src/training/run/run-log.ts";
import { formatSummary, parseLog } from "../../../src/training/run/run-log.ts";
import { canMountSmallDisk, mountSmallDisk } from "../../formats/small-disk.ts";
import type { SmallDisk } from "../../formats/small-disk.ts";

let root = "";
let path = "";
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "deit-run-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(() => {
  path = join(root, `run${count++}`);
});

const args = { model: "deit_micro", lr: 5e-4, epochs: 3, seed: 0, workers: 4, recipe: undefined };
const open = (changes: Record<string, unknown> = {}) =>
  openRunFolder(path, { args: { ...args, ...changes }, mayDiffer: ["workers"] });
const record = (epoch: number): EpochRecord => ({
  epoch,
  train_loss: 2 - epoch,
  train_lr: 1e-3,
  test_acc1: 10 * epoch,
  n_parameters: 7,
});
const metadata = {
  model: "deit_micro",
  classes: ["cat", "dög"],
  inputSize: [32, 32],
  mean: [0.485, 0.456, 0.406],
  std: [1, 1, 1],
  epoch: 0,
  metrics: { acc1: 12.5 },
} as const;
const tensors = new Map([["head.bias", { shape: [2], data: Float32Array.of(1, 2) }]]);
const lines = async (): Promise<number[]> =>
  parseLog(await readFile(join(path, "log.jsonl"), "utf8")).map(({ epoch }) => epoch);

/** A run of `epochs` epochs, saved as training does. */
async function train(epochs: number): Promise<void> {
  await using run = await open();
  for (let epoch = 0; epoch < epochs; epoch++) {
    await run.appendEpoch(record(epoch));
    await run.saveState({
      vectors: { W: Float32Array.of(epoch, NaN, -0) },
      counters: { epoch: epoch + 1, best: { epoch: 0, acc1: 12.5 }, rng: [1, 2] },
    });
    await run.saveModel("last", tensors, { ...metadata, epoch });
    if (epoch === 0) await run.saveModel("best", tensors, metadata);
  }
}

describe("a new run", () => {
  test("records options, machine and versions; saves log, summary, state and models", async () => {
    await using run = await openRunFolder(path, {
      args,
      versions: { "deit-ts": "1.2.3" },
      command: ["train", "./photos"],
    });
    expect([run.resumed, run.staleModels, run.notes, await run.loadState()]).toEqual([false, [], [], null]);
    await run.appendEpoch(record(0));
    await run.appendEpoch({ ...record(1), extra: 'a "b", c' });
    expect(await readFile(join(path, "summary.csv"), "utf8")).toBe(
      'epoch,train_loss,train_lr,test_acc1,n_parameters,extra\n0,2,0.001,0,7,\n1,1,0.001,10,7,"a ""b"", c"\n',
    );
    const recorded = parse(await readFile(join(path, "args.yaml"), "utf8")) as Record<string, unknown>;
    expect(recorded["args"]).toEqual({ model: "deit_micro", lr: 5e-4, epochs: 3, seed: 0, workers: 4 });
    expect(recorded["sessions"]).toMatchObject([
      {
        epoch: 0,
        command: ["train", "./photos"],
        versions: { "deit-ts": "1.2.3", node: process.versions.node },
        machine: { platform: `${process.platform} ${process.arch}` },
      },
    ]);
    await run.saveModel("best", tensors, metadata);
    const best = await readCheckpoint(join(path, "best.safetensors"));
    expect(decodeModelMetadata(best.metadata, { file: "best" })).toEqual(metadata);
    expect(best.metadata["format"]).toBe("pt");
    expect((await readdir(path)).toSorted()).toEqual([
      ".lock",
      "args.yaml",
      "best.safetensors",
      "log.jsonl",
      "summary.csv",
    ]);
    await expect(run.appendEpoch(record(1))).rejects.toMatchObject({ code: "run/log-order" });
  });

  test("is a run folder, readable while it runs", async () => {
    expect(await isRunFolder(path)).toBe(false);
    await expect(readRun(path)).rejects.toMatchObject({ code: "run/no-run" });
    await using run = await open();
    await run.appendEpoch(record(0));
    await appendFile(join(path, "log.jsonl"), '{"epoch":1,"train_l');
    expect(await isRunFolder(path)).toBe(true);
    const { args: read, log, sessions } = await readRun(path);
    expect([read["lr"], log.length, sessions.length]).toEqual([5e-4, 1, 1]);
  });

  test("an empty folder will do, and what a killed start left behind", async () => {
    await mkdir(path);
    await writeFile(join(path, ".args.yaml.0123456789ab.tmp"), "half");
    await (await open()).close();
    expect(await readdir(path)).toEqual(["args.yaml"]);
  });
});

describe("resume", () => {
  test("gives the state back bit for bit, with log and models in line", async () => {
    await train(2);
    await using run = await open({ workers: 1 });
    expect([run.resumed, run.staleModels, run.notes, run.log]).toEqual([
      true,
      [],
      [],
      [record(0), record(1)],
    ]);
    const state = await run.loadState();
    expect(state?.counters).toEqual({ epoch: 2, best: { epoch: 0, acc1: 12.5 }, rng: [1, 2] });
    expect(new Uint32Array(state?.vectors["W"]?.buffer ?? new ArrayBuffer(0))).toEqual(
      new Uint32Array(Float32Array.of(1, NaN, -0).buffer),
    );
    expect((await readRun(path)).sessions.map(({ epoch }) => epoch)).toEqual([0, 2]);
    expect((await readRun(path)).args["workers"]).toBe(1);
  });

  test("cuts the log back to the state, whole lines and halves", async () => {
    await train(2);
    await appendFile(join(path, "log.jsonl"), `${JSON.stringify(record(2))}\n{"epoch":`);
    await writeFile(join(path, "summary.csv"), "");
    await using run = await open();
    expect(run.notes).toEqual(["log.jsonl was 1 epoch ahead of the last saved state: cut back."]);
    expect(await lines()).toEqual([0, 1]);
    expect(await readFile(join(path, "summary.csv"), "utf8")).toBe(formatSummary([record(0), record(1)]));
    await run.appendEpoch(record(2));
    expect(await lines()).toEqual([0, 1, 2]);
  });

  test("writes a lost log again from the state", async () => {
    await train(2);
    await rm(join(path, "log.jsonl"));
    await rm(join(path, "args.yaml"));
    await using run = await open();
    expect(run.resumed).toBe(true);
    expect(await lines()).toEqual([0, 1]);
  });

  test("names models that are not of the state's epochs", async () => {
    await train(2);
    await writeFile(join(path, "last.safetensors"), "cut");
    await rm(join(path, "best.safetensors"));
    await using run = await open();
    expect(run.staleModels).toEqual(["last", "best"]);
  });

  test("goes on where the run is older than an option that has its default", async () => {
    await train(1);
    const later = { args: { ...args, holdOut: false }, mayDiffer: ["workers"] };
    await expect(openRunFolder(path, later)).rejects.toThrow("holdOut: not set there, false given");
    await using run = await openRunFolder(path, { ...later, defaults: { holdOut: false } });
    expect(run.resumed).toBe(true);
  });

  test("a run killed before its first save starts anew", async () => {
    {
      await using run = await open();
      await run.appendEpoch(record(0));
    }
    await using run = await open();
    expect([run.resumed, run.log, await lines()]).toEqual([false, [], []]);
  });
});

describe("refused", () => {
  test("other options: which, old and new, and how to go on; nothing is changed", async () => {
    await train(1);
    const before = await readFile(join(path, "args.yaml"), "utf8");
    const failure = open({ lr: 1e-3, repeatedAug: false, workers: 9 });
    await expect(failure).rejects.toMatchObject({ code: "run/other-options" });
    await expect(failure).rejects.toThrow(
      /holds a run with other options:\n {2}lr: 0\.0005 there, 0\.001 given\n {2}repeatedAug: not set there, false given\nChoose another --output-dir, or pass the options/,
    );
    await expect(open({ lr: 1e-3, epochs: 5 })).rejects.toThrow(
      /or resume that run with: --lr 0\.0005 --epochs 3$/,
    );
    expect(await readFile(join(path, "args.yaml"), "utf8")).toBe(before);
    expect(await readdir(path)).not.toContain(".lock");
  });

  test("the state's own options count when args.yaml was edited", async () => {
    await train(1);
    const text = await readFile(join(path, "args.yaml"), "utf8");
    await writeFile(join(path, "args.yaml"), text.replace("lr: 0.0005", "lr: 0.1"));
    await expect(open({ lr: 0.1 })).rejects.toThrow(/lr: 0\.0005 there, 0\.1 given/);
  });

  test("a folder with something else in it stays as it is", async () => {
    await mkdir(path);
    await writeFile(join(path, "photo.jpg"), "x");
    await expect(open()).rejects.toThrow(/is not empty and is not a run folder \(it has photo\.jpg\)/);
    // timm writes an args.yaml as well.
    await writeFile(join(path, "args.yaml"), "lr: 0.1\n");
    await expect(open()).rejects.toMatchObject({ code: "run/not-empty" });
    expect((await readdir(path)).toSorted()).toEqual(["args.yaml", "photo.jpg"]);
  });

  test("a file", async () => {
    await writeFile(path, "x");
    await expect(open()).rejects.toMatchObject({ code: "run/not-empty" });
  });

  test("models without a state", async () => {
    await train(1);
    await rm(join(path, "state.safetensors"));
    await expect(open()).rejects.toMatchObject({ code: "run/no-state" });
    expect(await readdir(path)).toContain("best.safetensors");
  });

  test("a damaged state, a state of something else, a damaged args.yaml", async () => {
    await train(1);
    const state = join(path, "state.safetensors");
    await writeFile(state, (await readFile(state)).subarray(0, -1));
    await expect(open()).rejects.toThrow(FormatError);
    await writeCheckpoint(state, { tensors, metadata: {} });
    await expect(open()).rejects.toThrow(/not a training state of this version/);
    await writeCheckpoint(state, {
      tensors,
      metadata: { kind: "deit-state/1", counters: '{"epoch":-1}', log: "[]", args: "{}" },
    });
    await expect(open()).rejects.toMatchObject({
      code: "run/damaged-state",
      message: expect.stringMatching(/"counters" is damaged/),
    });
    await rm(state);
    await rm(join(path, "best.safetensors"));
    await rm(join(path, "last.safetensors"));
    await appendFile(join(path, "args.yaml"), "\n}{");
    await expect(open()).rejects.toMatchObject({ code: "run/unreadable" });
  });
});

describe("lock", () => {
  const lockOf = (holder: object): Promise<void> => writeFile(join(path, ".lock"), JSON.stringify(holder));

  test("one at a time, also when all come at once and a stale lock lies there", async () => {
    await mkdir(path);
    await lockOf({ pid: 2 ** 22 + 12345, startTime: "1", hostname: hostname() });
    const opened = await Promise.allSettled(Array.from({ length: 8 }, () => open()));
    const runs = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(runs).toHaveLength(1);
    for (const result of opened)
      if (result.status === "rejected") expect(result.reason).toBeInstanceOf(ConfigError);
    await expect(open()).rejects.toMatchObject({ code: "run/in-use" });
    await runs[0]?.close();
    await (await open()).close();
    expect(await readdir(path)).not.toContain(".lock");
  });

  test("a live process is named, a dead one's lock is taken over", async () => {
    const child = await startChild(path);
    await expect(openRunFolder(path, { args: { lr: 0.1, seed: 0 } })).rejects.toThrow(
      new RegExp(`is in use by process ${child.pid}\\.\n`),
    );
    await kill(child);
    expect(await readdir(path)).toContain(".lock");
    await (await openRunFolder(path, { args: { lr: 0.1, seed: 0 } })).close();
  });

  test.skipIf(process.platform !== "linux")(
    "a later process with the same number is another one (Linux)",
    async () => {
      await mkdir(path);
      await lockOf({ pid: process.pid, startTime: "1", hostname: hostname() });
      await (await open()).close();
    },
  );

  test("another machine's lock cannot be checked", async () => {
    await mkdir(path);
    await lockOf({ pid: 1, startTime: null, hostname: "elsewhere" });
    await expect(open()).rejects.toThrow(/in use by process 1 on machine elsewhere\.\n.*delete .*\.lock/);
  });

  test.each(["", "{", "null", '{"pid":-1,"hostname":"x"}'])(
    "a lock that says nothing (%j) is taken over",
    async (text) => {
      await mkdir(path);
      await writeFile(join(path, ".lock"), text);
      await (await open()).close();
    },
  );
});

test("killed at random moments, a run is whole every time and goes on", async () => {
  const random = createRandom(11, "kill");
  let reached = 0;
  // A slow or busy disk gets more rounds, and longer ones, until a few epochs are through.
  for (let round = 0; round < 10 || (reached <= 3 && round < 60); round++) {
    const child = await startChild(path);
    await new Promise((resolve) => setTimeout(resolve, random.uniform(0, 60 + 10 * round)));
    await kill(child);
    const logged = await readFile(join(path, "log.jsonl"), "utf8");
    await using run = await openRunFolder(path, { args: { lr: 0.1, seed: 0 } });
    const state = await run.loadState();
    const epoch = state?.counters.epoch ?? 0;
    expect(epoch).toBeGreaterThanOrEqual(reached);
    reached = epoch;
    for (const vector of Object.values(state?.vectors ?? {}))
      expect(vector.every((value) => value === epoch)).toBe(true);
    expect(await lines()).toEqual([...Array(epoch).keys()]);
    // The log may be a line ahead of the state, and part of one more; never behind.
    expect(parseLog(logged).length - epoch).toBeOneOf([0, 1]);
    for (const kind of ["last", "best"] as const) {
      if (epoch === 0) continue;
      const expected = kind === "last" ? epoch - 1 : (state?.counters.best?.epoch ?? -1);
      const model = await readCheckpoint(join(path, `${kind}.safetensors`)).catch(() => undefined);
      if (run.staleModels.includes(kind)) {
        // Then the state itself has these weights.
        expect(expected).toBe(epoch - 1);
        expect(Number(model?.metadata["epoch"] ?? -1)).toBeLessThan(expected);
      } else {
        expect(model?.tensors.get("w")?.data[0]).toBe(expected + 1);
      }
    }
    expect((await readdir(path)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  }
  expect(reached).toBeGreaterThan(3);
});

describe.skipIf(!canMountSmallDisk())("on a full disk (skipped unless a tmpfs can be mounted)", () => {
  let disk: SmallDisk | undefined;
  beforeAll(() => {
    disk = mountSmallDisk({ kib: 256 });
  });
  afterAll(() => disk?.unmount());

  test("the last state stays and can be resumed", async () => {
    path = join(disk?.path ?? "", "run");
    {
      await using run = await open();
      await run.saveState({ vectors: { W: new Float32Array(10_000).fill(1) }, counters: { epoch: 0 } });
      await expect(
        run.saveState({ vectors: { W: new Float32Array(60_000) }, counters: { epoch: 1 } }),
      ).rejects.toThrow(
        /^Cannot save the training state to .*: no space left on the disk \(234\.\d KiB are needed, /,
      );
    }
    await using run = await open();
    expect((await run.loadState())?.vectors["W"]?.[9999]).toBe(1);
  });
});

async function startChild(folder: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL("./run-folder-child.ts", import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (text) => (errors += text));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", () => reject(new Error(`the child ended early: ${errors}`)));
  });
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
