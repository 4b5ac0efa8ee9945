/**
 * Times this project beside other systems on the same work, in the same minutes: rounds, in each of which every system runs
 * for a few seconds, one at a time, the order turned by one each round. Prints medians and ratios and appends them to
 * results/peers.csv. The commands and what must be installed are in README.md.
 */
import { appendFileSync, existsSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../../packages/lab/src/bench/timing.ts";
import type { Rounds } from "./rounds.ts";
import { compare, csvLine, ownVersion } from "./rounds.ts";
import type { Settings } from "./systems.ts";
import { SYSTEMS, TASKS, deit } from "./systems.ts";

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
/** Options that make a row what it is. */
const RECORDED = ["model", "batch-size", "threads", "rounds", "seconds", "busy", "tasks", "systems"] as const;
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
  for (const busy of options.busy.split(",").map(Number)) {
    const rates = await compare(
      all.filter(({ name }) => names.includes(name)),
      { ...settings, task, busy, rounds: Number(options.rounds) },
    );
    report(task, busy, rates);
  }
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
    const given = { ...options, busy: String(busy) };
    const words = RECORDED.map((name) => `--${name} ${given[name]}`).join(" ");
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
      `node bench/peers/run.ts ${words}`,
      busy,
      peakRssMiB?.toFixed(0) ?? "",
    ];
    appendFileSync(options.out, csvLine(row));
  }
}
