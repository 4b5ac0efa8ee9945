/**
 * Times this project beside other systems on the same work, in the same run: rounds, in each of which every system runs
 * for a few seconds in a process of its own, the order turned by one each round. Prints medians and ratios and appends
 * them to results/peers.csv. The commands and what must be installed are in README.md.
 */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("../../", import.meta.url));
const peers = fileURLToPath(new URL("./", import.meta.url));
const model = "deit_tiny_distilled_patch16_224";
const tasks = ["train", "infer"];

interface Settings {
  readonly python: string;
  readonly batchSize: number;
  readonly threads: number;
  readonly seconds: number;
}

interface System {
  readonly name: string;
  /** Program and arguments; its last line on stdout is JSON with `imagesPerSecond` and, where known, `version`. */
  readonly command: (task: string, settings: Settings) => readonly [string, ...string[]];
}

function flags({ batchSize, threads, seconds }: Settings): string[] {
  return `--batch-size ${batchSize} --threads ${threads} --seconds ${seconds}`.split(" ");
}

const torch = (attention: string): System => ({
  name: `pytorch-${attention}`,
  command: (task, settings) => {
    const work = `--model ${model} --task ${task} --attention ${attention}`.split(" ");
    return [settings.python, `${peers}torch_step.py`, ...work, ...flags(settings)];
  },
});

const script = (name: string, file: string): System => ({
  name,
  command: (task, settings) => [process.execPath, `${peers}${file}`, "--task", task, ...flags(settings)],
});

const systems: readonly System[] = [
  {
    name: "deit-ts",
    command: (task, { batchSize, threads }) => {
      const work =
        `bench ${task} --model ${model} --batch-size ${batchSize} --threads ${threads} --json`.split(" ");
      return [process.execPath, `${root}packages/deit/src/cli/main.ts`, ...work];
    },
  },
  torch("plain"),
  torch("sdpa"),
  script("tfjs-wasm", "tfjs.mjs"),
  script("jax-js-wasm", "jax-js.mjs"),
];

/** Runs one system once and returns what it printed, or an Error that says why there is no number. */
async function time(system: System, task: string, settings: Settings) {
  const [program, ...args] = system.command(task, settings);
  return await new Promise<{ imagesPerSecond: number; version: string } | Error>((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", resolve);
    child.on("close", (code) => {
      try {
        if (code !== 0) throw new Error(`exit ${code}: ${stderr.trim().split("\n").slice(-3).join(" | ")}`);
        // One line from a peer; `deit bench --json` may spread its document over several.
        const document = stdout.slice(stdout.indexOf("{"));
        const { imagesPerSecond, version } = JSON.parse(document) as Record<string, unknown>;
        if (typeof imagesPerSecond !== "number") throw new Error(`no imagesPerSecond in ${document}`);
        resolve({ imagesPerSecond, version: typeof version === "string" ? version : ownVersion() });
      } catch (error) {
        resolve(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

function ownVersion(): string {
  const { name, version, dependencies } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
    name: string;
    version: string;
    dependencies: Record<string, string>;
  };
  return `${name} ${version}, onnxruntime-node ${dependencies["onnxruntime-node"]?.replace("^", "")}`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

const csvField = (value: string | number) =>
  /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    "batch-size": { type: "string", default: "8" },
    threads: { type: "string", default: "2" },
    tasks: { type: "string", default: tasks.join(",") },
    systems: { type: "string", default: systems.map(({ name }) => name).join(",") },
    python: { type: "string", default: process.env["PYTHON"] ?? "python3" },
    out: { type: "string", default: `${root}results/peers.csv` },
  },
});
const settings: Settings = {
  python: options.python,
  batchSize: Number(options["batch-size"]),
  threads: Number(options.threads),
  seconds: Number(options.seconds),
};
const names = options.systems.split(",");
const unknown = names.filter((name) => !systems.some((system) => system.name === name));
if (unknown.length > 0) {
  console.error(
    `unknown system ${unknown.join(", ")}; there are ${systems.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}
const chosen = systems.filter(({ name }) => names.includes(name));
const load = loadavg()[0] ?? 0;
if (load > 0.5)
  console.error(`warning: load average ${load.toFixed(1)}; other work on this machine blurs the numbers`);

for (const task of options.tasks.split(",")) {
  const rates = new Map<string, Map<number, number>>();
  const versions = new Map<string, string>();
  const failed = new Set<string>();
  for (let round = 0; round < Number(options.rounds); round++) {
    for (let place = 0; place < chosen.length; place++) {
      const system = chosen[(place + round) % chosen.length];
      if (system === undefined || failed.has(system.name)) continue;
      // eslint-disable-next-line no-await-in-loop -- one process at a time is the point
      const result = await time(system, task, settings);
      if (result instanceof Error) {
        failed.add(system.name);
        console.error(`${task}: ${system.name} left out: ${result.message}`);
        continue;
      }
      versions.set(system.name, result.version);
      const perRound = rates.get(system.name) ?? new Map<number, number>();
      rates.set(system.name, perRound.set(round, result.imagesPerSecond));
      console.error(
        `round ${round + 1} ${task} ${system.name}: ${result.imagesPerSecond.toFixed(2)} images/s`,
      );
    }
  }
  report(task, rates, versions);
}

/** Prints one task's table and appends it to the csv. A ratio is the median over rounds of ours / theirs in that round. */
function report(task: string, rates: Map<string, Map<number, number>>, versions: Map<string, string>): void {
  const ours = rates.get("deit-ts");
  const cpu = cpus();
  if (!existsSync(options.out)) {
    const columns =
      "date,task,system,version,images_per_second,slowest,fastest,rounds,ours_over_this,model,batch_size";
    appendFileSync(options.out, `${columns},threads,cpu,cores,load_before,command\n`);
  }
  console.log(`\n${task}, ${model}, batch ${settings.batchSize}, ${settings.threads} threads`);
  for (const [name, perRound] of rates) {
    const all = [...perRound.values()];
    const ratios = [...perRound].flatMap(([round, rate]) => {
      const own = ours?.get(round);
      return own === undefined ? [] : [own / rate];
    });
    const ratio = ratios.length > 0 ? median(ratios).toFixed(3) : "";
    const middle = median(all).toFixed(2);
    console.log(
      `${name.padEnd(14)} ${middle.padStart(8)} images/s   ours/this ${ratio.padStart(7)}   ${versions.get(name)}`,
    );
    const rounds = `--rounds ${options.rounds} --seconds ${options.seconds}`;
    const row = [
      new Date().toISOString(),
      task,
      name,
      versions.get(name) ?? "",
      middle,
      Math.min(...all).toFixed(2),
      Math.max(...all).toFixed(2),
      all.length,
      ratio,
      model,
      settings.batchSize,
      settings.threads,
      cpu[0]?.model ?? "",
      cpu.length,
      load.toFixed(2),
      `node bench/peers/run.ts ${rounds} --tasks ${options.tasks} --systems ${options.systems}`,
    ];
    appendFileSync(options.out, `${row.map(csvField).join(",")}\n`);
  }
}
