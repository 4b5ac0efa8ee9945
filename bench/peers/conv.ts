/**
 * Times convolutions and their two gradients beside PyTorch's: rounds, in each of which both run every case a few times,
 * the order turned each round. Prints a table of GFLOP/s (median over the rounds of each round's median) and ours/theirs.
 *
 *     npx node bench/peers/conv.ts --python .venv/bin/python
 */
import { spawn } from "node:child_process";
import { loadavg } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median, seconds } from "../../packages/lab/src/bench/timing.ts";
import { gradient } from "../../packages/deit/src/graph/gradient.ts";
import type { Value } from "../../packages/deit/src/graph/graph.ts";
import { input } from "../../packages/deit/src/graph/graph.ts";
import { conv2d, mul, reshape, slice, sum } from "../../packages/deit/src/graph/ops.ts";
import { compile } from "../../packages/deit/src/graph/program.ts";
import { sizeOf } from "../../packages/deit/src/graph/shape.ts";
import { createRandom } from "../../packages/deit/src/random.ts";
import { createRuntime } from "../../packages/deit/src/runtime/node.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    repeats: { type: "string", default: "4" },
    threads: { type: "string", default: "2" },
    python: { type: "string", default: process.env["PYTHON"] ?? "python3" },
  },
});
const [rounds, repeats, threads] = [Number(options.rounds), Number(options.repeats), Number(options.threads)];

interface Case {
  readonly x: readonly [batch: number, channels: number, height: number, width: number];
  readonly weight: readonly [outChannels: number, perGroup: number, height: number, width: number];
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
}

function square(
  [batch, channels, side]: readonly [batch: number, channels: number, side: number],
  outChannels: number,
  { kernel = 3, stride = 1, groups = 1 } = {},
): Case {
  return {
    x: [batch, channels, side, side],
    weight: [outChannels, channels / groups, kernel, kernel],
    stride,
    padding: kernel >> 1,
    groups,
  };
}

const cases: readonly Case[] = [
  square([32, 64, 16], 64),
  square([32, 16, 32], 16),
  square([8, 64, 56], 64),
  square([32, 96, 16], 192, { kernel: 1 }),
  square([32, 64, 16], 128, { stride: 2 }),
  square([32, 104, 16], 104, { groups: 13 }),
  square([64, 64, 32], 64, { groups: 8 }),
  square([64, 96, 16], 96, { groups: 4 }),
  square([64, 192, 8], 192, { groups: 8 }),
  square([64, 96, 32], 96, { groups: 6, stride: 2 }),
  square([32, 64, 16], 64, { groups: 64 }),
];
const parts = ["forward", "input", "weight"] as const;
type Part = (typeof parts)[number];

/** 10⁹ multiplications and additions; the same for all three parts. */
function gflop({ x, weight, stride, padding }: Case): number {
  const side = Math.floor((x[2] + 2 * padding - weight[2]) / stride) + 1;
  return (2 * x[0] * sizeOf(weight) * side ** 2) / 1e9;
}

const runtime = await createRuntime({ device: "cpu", threads });
const script = fileURLToPath(new URL("torch_conv.py", import.meta.url));
const child = spawn(options.python, [script, String(threads)], { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

async function answer(): Promise<Record<string, unknown>> {
  const { value, done } = await answers.next();
  if (done === true) throw new Error("torch_conv.py ended early");
  return JSON.parse(value) as Record<string, unknown>;
}

async function timeTorch(it: Case, part: Part): Promise<number> {
  child.stdin.write(`${JSON.stringify({ ...it, part, repeats })}\n`);
  return median((await answer())["seconds"] as number[]);
}

/** Operands are state, which stays with the runtime; of the result only one element is returned. */
async function timeOurs(it: Case, part: Part): Promise<number> {
  const { stride, padding, groups } = it;
  const [x, weight] = [input("x", "float32", it.x), input("weight", "float32", it.weight)];
  const y = conv2d(x, weight, { stride, padding, groups });
  const loss = sum(mul(y, input("grad", "float32", y.shape)));
  const result = part === "forward" ? y : (gradient(loss, [part === "input" ? x : weight])[0] ?? y);
  const corner = result.shape.reduce<Value>((value, _, axis) => slice(value, { axis, end: 1 }), result);
  const program = compile({
    name: part,
    target: runtime.target,
    outputs: { corner: reshape(corner, [1]) },
    state: { x: null, weight: null, grad: null },
  });
  for (const name of Object.keys(program.state)) {
    const random = createRandom(0, name, 0);
    const length = sizeOf(program.inputs[name]?.shape ?? []);
    const values = Float32Array.from({ length }, () => random.uniform(-1, 1));
    // eslint-disable-next-line no-await-in-loop -- one after the other is the point, here and below
    await runtime.setState(name, values);
  }
  const executable = await runtime.load(program);
  await executable.run({});
  const times: number[] = [];
  // eslint-disable-next-line no-await-in-loop
  for (let i = 0; i < repeats; i++) times.push(await seconds(() => executable.run({})));
  await executable.release();
  return median(times);
}

const { version } = await answer();
const load = loadavg()[0] ?? 0;
console.log(`${String(version)}, ${threads} threads, load average before ${load.toFixed(1)}`);
if (load > 0.5) console.error("warning: other work on this machine blurs the numbers");
const measured = new Map<string, { ours: number; theirs: number }[]>();
for (let round = 0; round < rounds; round++) {
  for (const [i, it] of cases.entries()) {
    for (const part of parts) {
      const both = { ours: 0, theirs: 0 };
      const turn = [
        async () => void (both.ours = await timeOurs(it, part)),
        async () => void (both.theirs = await timeTorch(it, part)),
      ];
      // eslint-disable-next-line no-await-in-loop
      for (const time of round % 2 === 0 ? turn : turn.toReversed()) await time();
      const key = `${i} ${part}`;
      measured.set(key, [...(measured.get(key) ?? []), both]);
    }
  }
}
child.stdin.end();
await runtime.close();

console.log("GFLOP/s, ours / PyTorch (ratio)");
console.log(`${"".padEnd(42)}${parts.map((part) => part.padEnd(22)).join("")}`);
for (const [i, it] of cases.entries()) {
  const { x, weight, stride, groups } = it;
  const more = `${stride > 1 ? `, stride ${stride}` : ""}${groups > 1 ? `, ${groups} groups` : ""}`;
  const title = `${x[0]}×${x[1]}×${x[2]}², ${weight[2]}×${weight[3]} → ${weight[0]}${more}`;
  const columns = parts.map((part) => {
    const times = measured.get(`${i} ${part}`) ?? [];
    const rate = (side: "ours" | "theirs"): string =>
      (gflop(it) / median(times.map((both) => both[side]))).toFixed(1);
    const ratio = median(times.map(({ ours, theirs }) => theirs / ours));
    return `${rate("ours")} / ${rate("theirs")} (${ratio.toFixed(2)})`.padEnd(22);
  });
  console.log(`${title.padEnd(42)}${columns.join("")}`);
}
