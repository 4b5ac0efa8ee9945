/**
 * A server under twice the load that its measurement has, for minutes: images of all kinds, damaged ones among them, and clients
 * that leave in the middle. Whole images are answered, or refused with 503; nothing else may happen, and memory must be flat.
 * Linux only.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createRandom } from "../src/random.ts";
import { writeRandomModel } from "../tests/helpers/random-model.ts";
import { drawn, images as specimens } from "./formats/images.ts";
import { growth } from "./memory.ts";
import type { PartResult } from "./report.ts";

const CLI = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const CONNECTIONS = 64;
/** Less than the connections, so that some are refused. */
const QUEUE = 48;
const INTERVAL_MS = 3000;
/** Of a hundred requests: how many are damaged, and how many clients leave. */
const [DAMAGED, LEAVING] = [10, 3];

export interface ServeStressOptions {
  /** Folders of images; none: drawn ones. */
  readonly photos: readonly string[];
  readonly out: string;
  readonly minutes: number;
  readonly seed: number;
}

export async function stressServe({ photos, out, minutes, seed }: ServeStressOptions): Promise<PartResult> {
  await mkdir(out, { recursive: true });
  const model = join(out, "model.safetensors");
  await writeRandomModel(model, { model: "deit_w64d4_distilled_patch4_32", numClasses: 10 });
  const whole = await wholeImages(photos);
  const damaged = await specimens();
  const words = ["serve", `m=${model}`, "--port", "0", "--max-queue", String(QUEUE), "--device", "cpu"];
  const child = spawn(process.execPath, [CLI, ...words], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (part) => (said = `${said}${part}`.slice(-100_000)));
  while (!said.includes("serving on") && child.exitCode === null) await sleep(100);
  const url = /http:\/\/localhost:\d+/.exec(said)?.[0] ?? "";
  const faults: string[] = [];
  const samples: number[] = [];
  let [count, refused, worst] = [0, 0, 0];
  const end = performance.now() + 60_000 * minutes;

  const client = async (number: number): Promise<void> => {
    const random = createRandom(seed, "client", number);
    while (performance.now() < end && faults.length < 20) {
      const kind = random.integer(100);
      const isDamaged = kind < DAMAGED;
      const specimen = damaged[random.integer(damaged.length)];
      const bytes =
        isDamaged && specimen
          ? specimen.damage(specimen.bytes, random)
          : (whole[random.integer(whole.length)] ?? new Uint8Array());
      const isLeaving = kind >= 100 - LEAVING;
      const start = performance.now();
      try {
        const response = await fetch(`${url}/models/m`, {
          method: "POST",
          body: new Uint8Array(bytes),
          headers: { "content-type": "application/octet-stream" },
          ...(isLeaving && { signal: AbortSignal.timeout(1 + random.integer(50)) }),
        });
        const answer: unknown = await response.json();
        const { status } = response;
        count++;
        if (status === 503) {
          refused++;
          await sleep(20);
          continue;
        }
        worst = Math.max(worst, performance.now() - start);
        const isGood = status === 200 && Array.isArray(answer) && answer.length === 5;
        const isRefusal = isDamaged && [400, 413, 415].includes(status);
        if (!isGood && !isRefusal) faults.push(`${status}: ${JSON.stringify(answer).slice(0, 300)}`);
      } catch (error) {
        if (!isLeaving) faults.push(`no answer: ${String(error)}`);
      }
    }
  };
  const timer = setInterval(() => {
    // At once: this process is busy, and a look that waits would see the end.
    const text = readFileSync(`/proc/${child.pid}/smaps_rollup`, "latin1");
    samples.push(1024 * Number(/^Pss_Anon:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0));
  }, INTERVAL_MS);
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, i) => client(i)));
  clearInterval(timer);
  if (refused === 0) faults.push("nothing was refused: the load was not a load");
  const grown = growth(samples);
  if (grown !== undefined) faults.push(grown);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const [code] = (await ended) as [number | null];
  if (code !== 0) faults.push(`it ended with ${code}`);
  for (const line of said.match(/^error: .*$/gm) ?? []) faults.push(line.slice(0, 300));
  console.log(
    `${count} answers, ${refused} of them 503; memory ${samples.map((bytes) => Math.round(bytes / 1e6)).join(" ")} MB`,
  );
  return { count, faults, worstSeconds: worst / 1000, worstBytes: Math.max(0, ...samples) };
}

async function wholeImages(folders: readonly string[]): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const folder of folders)
    for (const name of await readdir(folder, { recursive: true }))
      if (found.length < 500 && /\.(?:jpe?g|png)$/i.test(name))
        found.push(await readFile(join(folder, name)));
  if (found.length > 0) return found;
  const sizes = [24, 100, 640];
  return Promise.all(sizes.map(async (width) => drawn().resize(width, width).jpeg().toBuffer()));
}
