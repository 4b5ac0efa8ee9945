/** A damaged file of a seed, and what came of reading it. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DeitError } from "../../src/errors.ts";
import { createRandom } from "../../src/random.ts";
import { checkpoints } from "./checkpoints.ts";
import { datasets } from "./datasets.ts";
import { images } from "./images.ts";
import { onnxFiles } from "./onnx.ts";
import { handWritten, runs } from "./runs.ts";
import type { Specimen } from "./specimen.ts";

export interface Outcome {
  readonly seed: number;
  readonly kind: string;
  /** Of processor time, as the machine may be busy with other work. */
  readonly milliseconds: number;
  /** The most memory that the process held meanwhile, in bytes. */
  readonly bytes: number;
  /** The code of the error, "read", or "fault". */
  readonly result: string;
  /** What went wrong: an error without a code, or with more words than anybody reads. */
  readonly fault: string | undefined;
}

/** Characters of the longest error that is printed. */
const LONGEST_MESSAGE = 10_000;

/** Whole files of every format that is read. `root`: a folder for what they refer to. */
export async function specimens(root: string): Promise<Specimen[]> {
  const weights = checkpoints();
  const [{ bytes } = { bytes: new Uint8Array() }] = weights.filter(
    ({ kind }) => kind === "safetensors of a run",
  );
  return [
    ...weights,
    ...(await images()),
    ...(await datasets()),
    ...(await onnxFiles(root, bytes)),
    ...(await runs(root)),
    ...handWritten(),
  ];
}

/** Makes the file of `seed` in a folder of its own and reads it. Never throws. */
export async function tryMutant(root: string, seed: number, of: readonly Specimen[]): Promise<Outcome> {
  const random = createRandom(seed, "mutants");
  const specimen = chosen(of, random.uniform());
  const folder = join(root, "mutant");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const damaged = specimen.damage(specimen.bytes, random);
  for (const [name, bytes] of Object.entries({ ...specimen.beside, [specimen.file]: damaged })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
  await forgetPeak();
  const start = process.cpuUsage();
  const error: unknown = await specimen.read(folder).then(
    () => undefined,
    (cause: unknown) => cause ?? new TypeError("undefined was thrown"),
  );
  const { user, system } = process.cpuUsage(start);
  await new Promise((resolve) => setImmediate(resolve)); // rejections that nobody handles are known by then
  const facts = { seed, kind: specimen.kind, milliseconds: (user + system) / 1000, bytes: await peak() };
  if (error === undefined) return { ...facts, result: "read", fault: undefined };
  if (!(error instanceof DeitError)) {
    const trace = error instanceof Error ? (error.stack ?? error.message) : "no error was thrown";
    return { ...facts, result: "fault", fault: trace };
  }
  const { code, message } = error;
  if (code === "internal") return { ...facts, result: "fault", fault: `no code: ${message}` };
  const long = message.length > LONGEST_MESSAGE ? `${message.length} characters: ${code}` : undefined;
  return { ...facts, result: code, fault: long };
}

function chosen(of: readonly Specimen[], place: number): Specimen {
  let left = place * of.reduce((sum, { share = 1 }) => sum + share, 0);
  for (const specimen of of) {
    left -= specimen.share ?? 1;
    if (left < 0) return specimen;
  }
  throw new RangeError("no specimens");
}

/** Linux' peak of the resident set begins anew. */
async function forgetPeak(): Promise<void> {
  await writeFile("/proc/self/clear_refs", "5").catch(() => {});
}

async function peak(): Promise<number> {
  const status = await readFile("/proc/self/status", "latin1").catch(() => "");
  const kib = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? process.memoryUsage.rss() : 1024 * Number(kib);
}
