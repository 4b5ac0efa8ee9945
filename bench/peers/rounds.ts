/** Rounds in which systems run one at a time, each for some seconds, in an order that turns by one each round. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Peer, Rate, Settings, System } from "./systems.ts";
import { startPeer } from "./systems.ts";

/** Rates by system and round. */
export type Rounds = ReadonlyMap<string, ReadonlyMap<number, Rate>>;

export interface CompareOptions extends Settings {
  readonly task: string;
  readonly rounds: number;
  /** Programs beside that only count. */
  readonly busy: number;
}

/** The rates of every system that knows the task; one that fails is named and left out. */
export async function compare(
  systems: readonly System[],
  { task, rounds, busy, ...settings }: CompareOptions,
): Promise<Rounds> {
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
  for (const system of systems.filter(({ tasks }) => tasks.includes(task)))
    await attempt(system.name, async () => {
      running.set(system.name, await startPeer(system, task, settings));
    });
  const beside = Array.from({ length: busy }, () => spawn(process.execPath, ["-e", "for (;;);"]));
  const order = [...running.keys()];
  for (let round = 0; round < rounds; round++) {
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

/** Versions of this project and of ONNX Runtime. */
export function ownVersion(): string {
  const { name, version, dependencies } = JSON.parse(
    readFileSync(new URL("../../packages/deit/package.json", import.meta.url), "utf8"),
  ) as {
    name: string;
    version: string;
    dependencies: Record<string, string>;
  };
  return `${name} ${version}, onnxruntime-node ${dependencies["onnxruntime-node"]?.replace("^", "")}`;
}

/** A line of a csv file. */
export function csvLine(fields: readonly (string | number)[]): string {
  const quoted = fields.map((value) =>
    /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value,
  );
  return `${quoted.join(",")}\n`;
}
