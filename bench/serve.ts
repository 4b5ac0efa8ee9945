/**
 * `deit serve` beside a bare loop that decodes, resizes and runs the same program in one process, in turns.
 *
 *     npx node bench/serve.ts --model deit_tiny_patch16_224/model.safetensors --data-path imagenet_val_650 --rounds 7
 *
 * --connections N (32), --seconds N of each turn (8), --max-batch N of both (16), --workers N of the server, --out FILE (results/serve.csv)
 *
 * The load comes from this process, on the same cores. A batch of p99_batches is what the bare loop takes for one.
 */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { cpus, loadavg } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { decodeImage } from "../packages/deit/src/data/decoding/decode.ts";
import { openClassifier } from "../packages/deit/src/evaluation/classifier.ts";
import { csv } from "../packages/deit/src/formats/csv.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "deit_tiny_patch16_224" },
    "data-path": { type: "string", default: "." },
    connections: { type: "string", default: "32" },
    rounds: { type: "string", default: "7" },
    seconds: { type: "string", default: "8" },
    "max-batch": { type: "string", default: "16" },
    workers: { type: "string" },
    out: { type: "string", default: "results/serve.csv" },
    bare: { type: "boolean", default: false },
  },
});
const [connections, rounds, seconds, maxBatch] = [
  Number(values.connections),
  Number(values.rounds),
  Number(values.seconds),
  Number(values["max-batch"]),
];

async function imageFiles(): Promise<Buffer[]> {
  const folder = values["data-path"];
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(?:jpe?g|png)$/i.test(name));
  if (names.length === 0) throw new Error(`--data-path ${folder}: expected a folder of .jpg or .png files`);
  return Promise.all(
    names
      .toSorted()
      .slice(0, 1000)
      .map(async (name) => readFile(join(folder, name))),
  );
}

/** Images decoded at a time. */
const IN_FLIGHT = 4;

/** The bare loop: while one batch is computed, the next is decoded and resized. Answers "go" with images a second. */
async function bareLoop(): Promise<void> {
  const files = await imageFiles();
  const classifier = await openClassifier(values.model, { device: "cpu" });
  const rowBytes = 3 * classifier.inputSize[0] * classifier.inputSize[1];
  await classifier.load({ batchSize: maxBatch });
  let at = 0;
  const batch = async (): Promise<Uint8Array> => {
    const pixels = new Uint8Array(maxBatch * rowBytes);
    let row = 0;
    const work = async (): Promise<void> => {
      for (let own = row++; own < maxBatch; own = row++) {
        const bytes = files[at++ % files.length];
        if (bytes) classifier.prepare(await decodeImage(bytes, "image"), pixels, own * rowBytes);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    return pixels;
  };
  process.on("message", () => void measure().then((rate) => process.send?.(rate)));
  async function measure(): Promise<number> {
    const start = performance.now();
    let done = 0;
    let next = batch();
    for (;;) {
      const pixels = await next;
      const elapsed = (performance.now() - start) / 1000;
      if (elapsed > seconds) return done / elapsed;
      next = batch();
      await classifier.logits(pixels, { batchSize: maxBatch });
      done += maxBatch;
    }
  }
  await measure(); // warm
  process.send?.("ready");
}

interface Load {
  readonly rate: number;
  /** Milliseconds of each answer, ascending. */
  readonly latencies: readonly number[];
  readonly errors: number;
}

/** One connection after another's fashion: a request, its answer, the next request. As little work as HTTP can be. */
async function load(port: number, files: readonly Buffer[]): Promise<Load> {
  const latencies: number[] = [];
  let [errors, at] = [0, 0];
  const start = performance.now();
  const isOver = (): boolean => performance.now() - start > seconds * 1000;
  const client = async (): Promise<void> => {
    const socket = connect(port, "127.0.0.1").setNoDelay(true);
    await once(socket, "connect");
    while (!isOver()) {
      const bytes = files[at++ % files.length] ?? Buffer.alloc(0);
      const head = `POST /models/m HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\ncontent-length: ${bytes.length}\r\n\r\n`;
      const sent = performance.now();
      socket.cork();
      socket.write(head);
      socket.write(bytes);
      socket.uncork();
      const text = await answer(socket);
      if (isOver()) break;
      if (text.startsWith("HTTP/1.1 200 ")) latencies.push(performance.now() - sent);
      else errors++;
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, client));
  return { rate: latencies.length / seconds, latencies: latencies.toSorted((a, b) => a - b), errors };
}

async function answer(socket: ReturnType<typeof connect>): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (part: Buffer): void => {
      text += part.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
      if (end < 0 || text.length < end + 4 + length) return;
      socket.off("data", onData).off("error", reject);
      resolve(text);
    };
    socket.on("data", onData).on("error", reject);
  });
}

const median = (list: readonly number[]): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? NaN;

async function compare(): Promise<void> {
  const files = await imageFiles();
  const bare = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), "--bare"]);
  await once(bare, "message");
  const main = fileURLToPath(new URL("../packages/deit/src/cli/main.ts", import.meta.url));
  const workers = values.workers === undefined ? [] : ["--workers", values.workers];
  const words = [
    "serve",
    `m=${values.model}`,
    "--port",
    "0",
    "--max-batch",
    String(maxBatch),
    "--device",
    "cpu",
    ...workers,
  ];
  const server = spawn(process.execPath, [main, ...words], { stdio: ["ignore", "inherit", "pipe"] });
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => process.exit(1));
  process.once("exit", () => (server.kill(), bare.kill()));
  let said = "";
  server.stderr.on("data", (part) => (said += String(part)));
  while (!said.includes("serving on")) {
    if (server.exitCode !== null) throw new Error(said);
    await once(server.stderr, "data");
  }
  const port = Number(/localhost:(\d+)/.exec(said)?.[1]);
  try {
    await load(port, files); // warm
    const turns: { bare: number; served: Load }[] = [];
    for (let round = 0; round < rounds; round++) {
      bare.send("go");
      const [rate] = (await once(bare, "message")) as [number];
      const served = await load(port, files);
      turns.push({ bare: rate, served });
      console.error(
        `${round + 1}: bare ${rate.toFixed(1)}, served ${served.rate.toFixed(1)} images/s, ratio ${(served.rate / rate).toFixed(3)}, p99 ${at(served.latencies, 0.99).toFixed(0)} ms, load ${loadavg()[0]?.toFixed(1)}`,
      );
    }
    const response = await fetch(`http://localhost:${port}/metrics`);
    const metrics = await response.text();
    const number = (name: string): number =>
      Number(new RegExp(`^deit_batch_images_${name}\\{.*\\} (\\S+)$`, "m").exec(metrics)?.[1]);
    await keep(turns, number("sum") / number("count"));
  } finally {
    server.kill("SIGTERM");
    bare.kill();
  }
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;

async function keep(turns: readonly { bare: number; served: Load }[], meanBatch: number): Promise<void> {
  const bare = median(turns.map((turn) => turn.bare));
  const p99 = median(turns.map(({ served }) => at(served.latencies, 0.99)));
  const batches = median(
    turns.map((turn) => at(turn.served.latencies, 0.99) / ((1000 * maxBatch) / turn.bare)),
  );
  const row: Record<string, string | number> = {
    date: new Date().toISOString().slice(0, 10),
    model:
      basename(values.model) === "model.safetensors"
        ? basename(join(values.model, ".."))
        : basename(values.model),
    images: basename(values["data-path"]),
    connections,
    rounds,
    max_batch: maxBatch,
    mean_batch: meanBatch.toFixed(1),
    bare_images_per_second: bare.toFixed(1),
    served_images_per_second: median(turns.map(({ served }) => served.rate)).toFixed(1),
    ratio: median(turns.map((turn) => turn.served.rate / turn.bare)).toFixed(3),
    p50_ms: median(turns.map(({ served }) => at(served.latencies, 0.5))).toFixed(0),
    p99_ms: p99.toFixed(0),
    p99_batches: batches.toFixed(2),
    errors: turns.reduce((sum, { served }) => sum + served.errors, 0),
    load: loadavg()[0]?.toFixed(1) ?? "",
    processor: `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores`,
    command: `npx node bench/serve.ts ${process.argv
      .slice(2)
      .map((word) => (word.includes("/") ? basename(word) : word))
      .join(" ")}`,
  };
  console.log(row);
  const before = await readFile(values.out, "utf8").catch(() => csv([Object.keys(row)]));
  await writeFile(values.out, before + csv([Object.values(row)]));
}

await (values.bare ? bareLoop() : compare());
