/**
 * `deit bench train|infer --profile`: which operations take the time, by kind, phase, part and layer. The profiler costs
 * time itself, small operations most; the rate without it is `deit bench` without `--profile`.
 */
import { createReadStream } from "node:fs";
import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeitError, createRuntime } from "deit-ts";
import { GRADIENT_SCOPE } from "deit-ts/graph";
import { createModel } from "deit-ts/models";
import { writeFileAtomic } from "deit-ts/studies";
import { parseProfile } from "./profile-events.ts";
import type { NodeTime } from "./profile-events.ts";
import type { BenchOptions } from "./throughput.ts";
import { inferWorkload, trainWorkload } from "./workload.ts";

export interface ProfileOptions extends Omit<BenchOptions, "profile"> {
  readonly what: "train" | "infer";
  /** Keeps ONNX Runtime's own file, which chrome://tracing and Perfetto open. */
  readonly out?: string;
}

/** Time of some of a run's operations. */
export interface ProfileEntry {
  readonly name: string;
  /** Operations a run. */
  readonly count: number;
  readonly seconds: number;
  /** Of the time of all operations. */
  readonly share: number;
  /** Rate of the matrix products and convolutions among them; null where there are none. */
  readonly gflops: number | null;
}

export interface ProfileReport {
  readonly model: string;
  readonly what: "train" | "infer";
  readonly device: string;
  readonly threads: number;
  readonly batchSize: number;
  readonly runs: number;
  /** Under the profiler: from start to end of a run, and of its operations together. */
  readonly secondsPerRun: number;
  readonly operationSeconds: number;
  /** Matrix products and convolutions. */
  readonly products: ProfileEntry;
  /** forward, backward, optimizer. */
  readonly phases: readonly ProfileEntry[];
  /** The same part of every block together: attn, mlp, …; and what is not in blocks. */
  readonly parts: readonly ProfileEntry[];
  readonly layers: readonly ProfileEntry[];
  /** By ONNX's names. */
  readonly operations: readonly ProfileEntry[];
  /** ONNX Runtime's file, when it was kept. */
  readonly file: string | null;
}

const WARM_UP = 2;
const RUNS = 5;

/** Runs the workload under ONNX Runtime's profiler. */
export async function profileModel({
  model: name,
  what,
  batchSize = 8,
  inputSize,
  device = "auto",
  threads,
  rounds = RUNS,
  out,
  ...form
}: ProfileOptions): Promise<ProfileReport> {
  const model = createModel(name, { inputSize });
  const folder = await mkdtemp(join(tmpdir(), "deit-profile-"));
  try {
    const runtime = await createRuntime({
      device,
      ...(threads && { threads }),
      profile: join(folder, "profile"),
    });
    let written: string | undefined;
    try {
      const context = { model, batchSize, runtime };
      const { program, feeds } = await (what === "train"
        ? trainWorkload(context, form)
        : inferWorkload(context));
      const executable = await runtime.load(program);
      for (let run = 0; run < WARM_UP + rounds; run++) await executable.run(feeds);
      written = await executable.release();
    } finally {
      await runtime.close();
    }
    if (written === undefined)
      throw new DeitError("ONNX Runtime's profiler wrote no file", { code: "bench/profile" });
    const { runs, secondsPerRun, nodes } = parseProfile(await readFile(written, "utf8"), { warmUp: WARM_UP });
    if (out !== undefined) await moveFile(written, out);
    return {
      model: name,
      what,
      device: runtime.device,
      threads: runtime.threads,
      batchSize,
      runs,
      secondsPerRun,
      ...breakdown(nodes),
      file: out ?? null,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function moveFile(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EXDEV")) throw error;
    await writeFileAtomic(to, createReadStream(from), { what: "the profile" }); // the temporary folder is on another disk
  }
}

type Breakdown = Pick<
  ProfileReport,
  "operationSeconds" | "products" | "phases" | "parts" | "layers" | "operations"
>;

/** The time of nodes, added up in every way. */
export function breakdown(nodes: readonly NodeTime[]): Breakdown {
  const total = nodes.reduce((sum, { seconds }) => sum + seconds, 0);
  const entry = (name: string, some: readonly NodeTime[]): ProfileEntry => {
    const seconds = some.reduce((sum, node) => sum + node.seconds, 0);
    const products = some.filter(({ flops }) => flops > 0);
    const productSeconds = products.reduce((sum, node) => sum + node.seconds, 0);
    const flops = products.reduce((sum, node) => sum + node.flops, 0);
    return {
      name,
      count: some.reduce((sum, { count }) => sum + count, 0),
      seconds,
      share: total === 0 ? 0 : seconds / total,
      gflops: productSeconds === 0 ? null : flops / productSeconds / 1e9,
    };
  };
  const by = (key: (node: NodeTime) => string): ProfileEntry[] =>
    [...Map.groupBy(nodes, key)].map(([name, some]) => entry(name, some));
  const longestFirst = (a: ProfileEntry, b: ProfileEntry): number => b.seconds - a.seconds;
  return {
    operationSeconds: total,
    products: entry(
      "products",
      nodes.filter(({ flops }) => flops > 0),
    ),
    phases: PHASES.flatMap((phase) =>
      by((node) => placeOf(node.name).phase).filter(({ name }) => name === phase),
    ),
    parts: by((node) => placeOf(node.name).part).toSorted(longestFirst),
    layers: by((node) => placeOf(node.name).layer).toSorted((a, b) => inOrder(a.name, b.name)),
    operations: by(({ type }) => type).toSorted(longestFirst),
  };
}

const PHASES = ["forward", "backward", "optimizer"] as const;

interface Place {
  readonly phase: (typeof PHASES)[number];
  /** `blocks.3`, `patch_embed`, `optimizer`, `rest`. */
  readonly layer: string;
  /** `attn` of any block; the layer's name outside blocks. */
  readonly part: string;
}

/** Where a node belongs, by its name: `gradient/blocks.3/attn/gemm_12`. */
export function placeOf(name: string): Place {
  const path = name.replace(/^fused /, "").split("/"); // as ONNX Runtime names a product with its activation
  const phase = path[0] === GRADIENT_SCOPE ? "backward" : path[0] === "optimizer" ? "optimizer" : "forward";
  const [layer = "", inner = ""] = path.slice(phase === "backward" ? 1 : 0);
  // What stands after the scope is the node's own name, and what ONNX Runtime's optimizer has added to it.
  if (!isScope(layer)) return { phase, layer: "rest", part: "rest" };
  if (!layer.startsWith("blocks.")) return { phase, layer, part: layer };
  return { phase, layer, part: isScope(inner) ? inner : "residual" };
}

/** Scopes are lower-case words; nodes have a number behind theirs (onnx-model.ts), or a name of ONNX Runtime's. */
function isScope(word: string): boolean {
  return /^[a-z]/.test(word) && !/_\d+(?:$|_|\.)/.test(word) && !word.startsWith("output_");
}

/** Numbers in names count as numbers. */
function inOrder(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
