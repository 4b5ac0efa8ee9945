/** The systems that run.ts compares, and how it talks with their processes. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const peers = fileURLToPath(new URL("./", import.meta.url));
export const TASKS = ["train", "infer"] as const;

export interface Settings {
  readonly model: string;
  readonly python: string;
  readonly batchSize: number;
  readonly threads: number;
  readonly seconds: number;
}

export interface System {
  readonly name: string;
  readonly tasks: readonly string[];
  /** Program and arguments, but for those of `settings` that all have. */
  readonly command: (settings: Settings) => readonly [string, ...string[]];
  /** Started anew every round with `--seconds`; others stay, and read a number of seconds a line (peer.py). */
  readonly once?: true;
}

/** What a system did in a round. */
export interface Rate {
  readonly imagesPerSecond: number;
  /** Undefined for this project. */
  readonly version: string | undefined;
  readonly peakRssMiB: number | undefined;
}

const torch = (form: string): System => ({
  name: `pytorch-${form}`,
  tasks: TASKS,
  command: ({ python, model }) => [python, `${peers}torch_step.py`, "--model", model, "--form", form],
});

const script = (name: string, file: string): System => ({
  name,
  tasks: TASKS,
  once: true,
  command: () => [process.execPath, `${peers}${file}`],
});

/** This project; `root`: another checkout of it. */
export function deit(name: string, root?: string): System {
  const from = root === undefined ? [] : ["--root", root];
  return {
    name,
    tasks: TASKS,
    command: ({ model }) => [
      process.execPath,
      "--conditions=deit-source",
      `${peers}deit-ts.ts`,
      "--model",
      model,
      ...from,
    ],
  };
}

export const SYSTEMS: readonly System[] = [
  deit("deit-ts"),
  torch("plain"),
  torch("sdpa"),
  torch("compile"),
  {
    name: "openvino",
    tasks: ["infer"],
    command: ({ python, model }) => [python, `${peers}openvino_forward.py`, "--model", model],
  },
  script("tfjs-wasm", "tfjs.mjs"),
  script("jax-js-wasm", "jax-js.mjs"),
];

/** A system's process, warmed up. */
export interface Peer {
  time(): Promise<Rate>;
  end(): void;
}

/** Starts a system on a task. @throws Error with the end of what the process wrote to its log */
export async function startPeer(system: System, task: string, settings: Settings): Promise<Peer> {
  if (system.once) return { time: () => timeOnce(system, task, settings), end: () => {} };
  const { child, answer } = open(system, task, settings);
  const { version } = await answer();
  return {
    async time() {
      child.stdin.write(`${settings.seconds}\n`);
      return rateOf(await answer(), version);
    },
    end: () => void child.stdin.end(),
  };
}

async function timeOnce(system: System, task: string, settings: Settings): Promise<Rate> {
  const line = await open(system, task, settings, ["--seconds", `${settings.seconds}`]).answer();
  return rateOf(line, line["version"]);
}

function open(system: System, task: string, settings: Settings, more: readonly string[] = []) {
  const [program, ...args] = system.command(settings);
  const flags = `--task ${task} --batch-size ${settings.batchSize} --threads ${settings.threads}`.split(" ");
  const child = spawn(program, [...args, ...flags, ...more], { stdio: ["pipe", "pipe", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  child.stdin.on("error", () => {}); // that the process has ended is told below
  const ended = new Promise<never>((_, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      reject(new Error(`exit ${code}: ${log.trim().split("\n").slice(-3).join(" | ")}`));
    });
  });
  ended.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async answer(): Promise<Record<string, unknown>> {
      const { value, done } = await Promise.race([lines.next(), ended]);
      return done === true ? ended : (JSON.parse(value) as Record<string, unknown>);
    },
  };
}

function rateOf(line: Readonly<Record<string, unknown>>, version: unknown): Rate {
  const { imagesPerSecond, peakRssMiB } = line;
  if (typeof imagesPerSecond !== "number") throw new Error(`no imagesPerSecond in ${JSON.stringify(line)}`);
  return {
    imagesPerSecond,
    version: typeof version === "string" ? version : undefined,
    peakRssMiB: typeof peakRssMiB === "number" ? peakRssMiB : undefined,
  };
}
