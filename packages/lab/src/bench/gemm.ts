/** The yardstick: how fast this device multiplies matrices of a model's own four shapes. */
import { createRuntime } from "deit-ts";
import type { DeviceName, Model, Runtime } from "deit-ts";
import { compile, constant, createRandom, input, ops } from "deit-ts/graph";
import type { Executable, Program } from "deit-ts/graph";
import { createModel, numTokens } from "deit-ts/models";
import { median, seconds } from "./timing.ts";

const { concat, gemm, slice } = ops;

/** Products in one run, so that starting it does not count. */
const PRODUCTS = 16;

/** A matrix product [rows, inner] × [inner, columns]. */
export interface GemmShape {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

/** The four products of a transformer's block: qkv, projection, and the two of the feed-forward network; a convnet's is one of its size. */
export function gemmShapes({ transformer }: Model, batchSize: number): GemmShape[] {
  if (transformer === undefined) return [{ rows: 64 * batchSize, inner: 256, columns: 256 }];
  const rows = numTokens(transformer) * batchSize;
  const dim = transformer.embedDim;
  const hidden = dim * transformer.mlpRatio;
  return [
    { rows, inner: dim, columns: 3 * dim },
    { rows, inner: dim, columns: dim },
    { rows, inner: dim, columns: hidden },
    { rows, inner: hidden, columns: dim },
  ];
}

export interface GemmPeak {
  /** Best of the shapes, each the median of its rounds. */
  readonly gflops: number;
  readonly shapes: readonly (GemmShape & { readonly gflops: number })[];
}

/** Times the products a round at a time, so that they can be interleaved with other work. */
export interface GemmTimer {
  round(): Promise<void>;
  result(): GemmPeak;
  release(): Promise<void>;
}

export async function createGemmTimer(runtime: Runtime, shapes: readonly GemmShape[]): Promise<GemmTimer> {
  const entries: { shape: GemmShape; executable: Executable; times: number[] }[] = [];
  for (const shape of shapes) {
    const program = gemmProgram(runtime, shape);
    await runtime.setState(Object.keys(program.state)[0] ?? "", randomMatrix(shape.rows * shape.inner));
    entries.push({ shape, executable: await runtime.load(program), times: [] });
  }
  return {
    async round() {
      for (const { executable, times } of entries)
        times.push((await seconds(() => executable.run({}))) / PRODUCTS);
    },
    result() {
      const measured = entries.map(({ shape, times }) => ({
        ...shape,
        gflops: (2 * shape.rows * shape.inner * shape.columns) / median(times) / 1e9,
      }));
      return { gflops: Math.max(...measured.map(({ gflops }) => gflops)), shapes: measured };
    },
    async release() {
      for (const { executable } of entries) await executable.release();
    },
  };
}

/** `PRODUCTS` products of one matrix with as many weights, as a model has them; only a corner of each is returned. */
function gemmProgram({ target }: Runtime, { rows, inner, columns }: GemmShape): Program {
  const name = `gemm.${rows}x${inner}x${columns}`;
  const x = input(name, "float32", [rows, inner]);
  const corners = Array.from({ length: PRODUCTS }, () => {
    const product = gemm(x, constant(randomMatrix(inner * columns), [inner, columns]));
    return slice(slice(product, { axis: 0, end: 1 }), { axis: 1, end: 1 });
  });
  return compile({ name, target, outputs: { corners: concat(corners, 0) }, state: { [name]: null } });
}

let matrices = 0;

function randomMatrix(length: number): Float32Array {
  const random = createRandom(0, "gemm", matrices++);
  return Float32Array.from({ length }, () => random.uniform(-1, 1));
}

export interface BenchGemmReport {
  readonly model: string;
  readonly device: string;
  readonly threads: number;
  readonly batchSize: number;
  readonly gemmPeakGflops: number;
  readonly gemmShapes: GemmPeak["shapes"];
}

/** `deit bench gemm`: the yardstick alone. */
export async function benchGemm({
  model: name,
  batchSize = 8,
  inputSize,
  device = "auto",
  threads,
  rounds = 15,
}: {
  model: string;
  batchSize?: number;
  inputSize?: number | readonly [number, number] | null;
  device?: DeviceName | "auto";
  threads?: number | null;
  rounds?: number;
}): Promise<BenchGemmReport> {
  const model = createModel(name, { inputSize: inputSize ?? undefined });
  const runtime = await createRuntime({ device, ...(threads && { threads }) });
  try {
    const timer = await createGemmTimer(runtime, gemmShapes(model, batchSize));
    for (let round = 0; round < rounds + 1; round++) await timer.round();
    const { gflops, shapes } = timer.result();
    const { device: used, threads: cores } = runtime;
    return {
      model: name,
      device: used,
      threads: cores,
      batchSize,
      gemmPeakGflops: gflops,
      gemmShapes: shapes,
    };
  } finally {
    await runtime.close();
  }
}
