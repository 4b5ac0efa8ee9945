/**
 * Times this project beside other systems on the same work, in the same minutes: rounds, in each of which every system runs
 * for a few seconds, one at a time, the order turned by one each round. Prints medians and ratios and appends them to
 * results/peers.csv. The commands and what must be installed are in README.md.
 */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../../packages/lab/src/bench/timing.ts";
import type { Peer, Rate, Settings } from "./systems.ts";
import { SYSTEMS, TASKS, deit, startPeer } from "./systems.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: "deit_tiny_distilled_patch16_224" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    "batch-size": { type: "string", default: "8" },
    threads: { type: "string", default: "2" },
    tasks: { type: "string", default: TASKS.join(",") },
    systems: { type: "string", default: SYSTEMS.map(({ name }) => name).join(",") },
    before: { type: "string" },
    busy: { type: "string", default: "0" },
    python: { type: "string", default: process.env["PYTHON"] ?? "python3" },
    out: { type: "string", default: `${root}results/peers.csv` },
  },
});
const settings: Settings = {
  model: options.model,
  python: options.python,
  batchSize: Number(options["batch-size"]),
  threads: Number(options.threads),
  seconds: Number(options.seconds),
};
const all = [...SYSTEMS, ...(options.before === undefined ? [] : [deit("before", options.before)])];
const names = [...options.systems.split(","), ...(options.before === undefined ? [] : ["before"])];
const unknown = names.filter((name) => !all.some((system) => system.name === name));
if (unknown.length > 0) {
  console.error(`unknown system ${unknown.join(", ")}; there are ${all.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const load = loadavg()[0] ?? 0;
if (load > 0.5)
  console.error(`warning: load average ${load.toFixed(1)}; other work on this machine blurs the numbers`);

for (const task of options.tasks.split(",")) {
  for (const busy of options.busy.split(",").map(Number)) report(task, busy, await compare(task, busy));
}

type Rounds = ReadonlyMap<string, ReadonlyMap<number, Rate>>;

/** The rates of every system by round; one that fails is named and left out. `busy` programs beside only count. */
async function compare(task: string, busy: number): Promise<Rounds> {
  const running = new Map<string, Peer>();
  const rates = new Map<string, Map<number, Rate>>();
  const attempt = async (name: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      running.delete(name);
      console.error(`${task}: ${name} left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for (const system of all.filter((it) => names.includes(it.name) && it.tasks.includes(task)))
    await attempt(system.name, async () => {
      running.set(system.name, await startPeer(system, task, settings));
    });
  const beside = Array.from({ length: busy }, () => spawn(process.execPath, ["-e", "for (;;);"]));
  const order = [...running.keys()];
  for (let round = 0; round < Number(options.rounds); round++) {
    for (let place = 0; place < order.length; place++) {
      const name = order[(place + round) % order.length] ?? "";
      await attempt(name, async () => {
        const rate = await running.get(name)?.time();
        if (rate === undefined) return;
        rates.set(name, (rates.get(name) ?? new Map<number, Rate>()).set(round, rate));
        console.error(`round ${round + 1} ${task} ${name}: ${rate.imagesPerSecond.toFixed(2)} images/s`);
      });
    }
  }
  for (const child of beside) child.kill();
  for (const peer of running.values()) peer.end();
  return rates;
}

function ownVersion(): string {
  const { name, version, dependencies } = JSON.parse(
    readFileSync(`${root}packages/deit/package.json`, "utf8"),
  ) as {
    name: string;
    version: string;
    dependencies: Record<string, string>;
  };
  return `${name} ${version}, onnxruntime-node ${dependencies["onnxruntime-node"]?.replace("^", "")}`;
}

function csvField(value: string | number): string | number {
  return /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value;
}

/** Prints one task's table and appends it to the csv. A ratio is the median over rounds of ours / theirs in that round. */
function report(task: string, busy: number, rates: Rounds): void {
  const ours = rates.get("deit-ts");
  const cpu = cpus();
  if (!existsSync(options.out)) {
    const columns =
      "date,task,system,version,images_per_second,slowest,fastest,rounds,ours_over_this,model,batch_size";
    appendFileSync(
      options.out,
      `${columns},threads,cpu,cores,load_before,command,busy_processes,peak_rss_mib\n`,
    );
  }
  console.log(
    `\n${task}, ${settings.model}, batch ${settings.batchSize}, ${settings.threads} threads, ${busy} busy processes beside`,
  );
  for (const [name, perRound] of rates) {
    const measured = [...perRound.values()].map(({ imagesPerSecond }) => imagesPerSecond);
    const ratios = [...perRound].flatMap(([round, { imagesPerSecond }]) => {
      const own = ours?.get(round)?.imagesPerSecond;
      return own === undefined ? [] : [own / imagesPerSecond];
    });
    const ratio = ratios.length > 0 ? median(ratios).toFixed(3) : "";
    const middle = median(measured).toFixed(2);
    const { version = ownVersion(), peakRssMiB } = [...perRound.values()].at(-1) ?? {};
    console.log(
      `${name.padEnd(16)} ${middle.padStart(8)} images/s   ours/this ${ratio.padStart(7)}   ${peakRssMiB?.toFixed(0) ?? ""} MiB   ${version}`,
    );
    const rounds = `--rounds ${options.rounds} --seconds ${options.seconds}`;
    const row = [
      new Date().toISOString(),
      task,
      name,
      version,
      middle,
      Math.min(...measured).toFixed(2),
      Math.max(...measured).toFixed(2),
      measured.length,
      ratio,
      settings.model,
      settings.batchSize,
      settings.threads,
      cpu[0]?.model ?? "",
      cpu.length,
      load.toFixed(2),
      `node bench/peers/run.ts ${rounds} --tasks ${options.tasks} --systems ${options.systems}`,
      busy,
      peakRssMiB?.toFixed(0) ?? "",
    ];
    appendFileSync(options.out, `${row.map(csvField).join(",")}\n`);
  }
}
