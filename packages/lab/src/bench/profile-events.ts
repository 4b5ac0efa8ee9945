/**
 * What ONNX Runtime's profiler writes, as times of operations. On the CPU a node's event is its time; on WebGPU that is
 * the time of handing it over, and the device's own clock writes events of another kind ("Api"), one a kernel. Pure.
 */
import { DeitError } from "deit-ts";

/** One node of the executed graph, over all the runs that count. */
export interface NodeTime {
  /** Its name in the model, with the scope in front: `gradient/blocks.3/attn/gemm_12`. */
  readonly name: string;
  readonly type: string;
  /** Executions a run. */
  readonly count: number;
  /** Of one run. */
  readonly seconds: number;
  /** Floating-point operations of one run, of matrix products and convolutions; 0 for other nodes. */
  readonly flops: number;
}

export interface ProfiledRuns {
  readonly runs: number;
  /** From start to end, mean. */
  readonly secondsPerRun: number;
  readonly nodes: readonly NodeTime[];
}

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  /** Microseconds. */
  readonly dur?: number;
  readonly args?: {
    readonly op_name?: string;
    readonly input_type_shape?: readonly Readonly<Record<string, readonly number[]>>[];
    readonly output_type_shape?: readonly Readonly<Record<string, readonly number[]>>[];
  };
}

const KERNEL = "_kernel_time";
/** Their bodies' nodes have events of their own. */
const CONTROL_FLOW: ReadonlySet<string> = new Set(["Loop", "If", "Scan"]);

/** Reads a profile; of all runs in it, the first `warmUp` do not count. @throws DeitError */
export function parseProfile(text: string, { warmUp }: { warmUp: number }): ProfiledRuns {
  const events = eventsOf(text);
  const walls = events.filter(({ cat, name }) => cat === "Session" && name === "model_run").map(microseconds);
  const runs = walls.length - warmUp;
  if (runs < 1)
    throw new DeitError(`the profile has ${walls.length} runs; expected more than the ${warmUp} first`, {
      code: "bench/profile",
    });
  const last = (times: readonly number[]): readonly number[] =>
    times.slice(Math.round((times.length * warmUp) / walls.length));

  const nodes = new Map<string, ProfileEvent[]>();
  const kernels = new Map<string, number[]>();
  for (const event of events) {
    const { cat, name = "" } = event;
    if (cat === "Node" && name.endsWith(KERNEL)) append(nodes, name.slice(0, -KERNEL.length), event);
    // `node&type&program`; a node's kernels come one after another, all runs in order.
    if (cat === "Api") append(kernels, name.split("&")[0] ?? "", microseconds(event));
  }
  const onDevice = kernels.size > 0;
  const times = [...nodes].flatMap(([name, [first, ...rest]]): NodeTime[] => {
    const type = first?.args?.op_name ?? "";
    if (first === undefined || CONTROL_FLOW.has(type)) return [];
    const executed = last([first, ...rest].map(microseconds));
    const timed = onDevice ? last(kernels.get(name) ?? []) : executed;
    const count = executed.length / runs;
    return [{ name, type, count, seconds: sum(timed) / runs / 1e6, flops: count * flopsOf(type, first) }];
  });
  return { runs, secondsPerRun: sum(last(walls)) / runs / 1e6, nodes: times };
}

function eventsOf(text: string): readonly ProfileEvent[] {
  try {
    const events: unknown = JSON.parse(text);
    if (Array.isArray(events)) return events as readonly ProfileEvent[];
  } catch {
    // said below
  }
  throw new DeitError("the profile is not what ONNX Runtime writes: a JSON list of events", {
    code: "bench/profile",
  });
}

function microseconds({ dur = 0 }: ProfileEvent): number {
  return dur;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

/** Multiplications and additions of a product, by the shapes of its operands; 0 for what is none. */
function flopsOf(type: string, { args }: ProfileEvent): number {
  const shape = (list: NonNullable<typeof args>["input_type_shape"], i: number): readonly number[] =>
    Object.values(list?.[i] ?? {})[0] ?? [];
  const [a, b, out] = [
    shape(args?.input_type_shape, 0),
    shape(args?.input_type_shape, 1),
    shape(args?.output_type_shape, 0),
  ];
  if (/Gemm$|MatMul$/.test(type)) {
    // Whichever operand is transposed, the first one's matrix is [rows of the product] × [what is summed over].
    const matrix = size(a.slice(-2));
    const rows = out.at(-2) ?? 1;
    return (2 * size(out) * matrix) / rows;
  }
  // Scores and values; four products in the gradient, scores that it computes again left out.
  if (type === "Attention") return 4 * size(a) * (b[0] ?? 1);
  if (type === "AttentionGradient") return 8 * size(a) * (b[0] ?? 1);
  if (type === "ConvTranspose") return (2 * size(a) * size(b)) / (b[0] ?? 1);
  if (type.endsWith("Conv")) return (2 * size(out) * size(b)) / (b[0] ?? 1);
  return 0;
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}
