/** What the machine has for CPU work: processor, the cores and the memory that this process may use, disks. */

import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { dirname, resolve } from "node:path";
import { cacheFolder } from "../data/download/cache-folder.ts";
import { attempt, outputOf, readText } from "../runtime/guarded.ts";

export interface Machine {
  readonly platform: string;
  readonly arch: string;
  readonly cpu: string | undefined;
  /** Instruction sets that ONNX Runtime's CPU kernels choose by; undefined where the system does not say. */
  readonly features: readonly string[] | undefined;
  /** Of the machine, and of this process: affinity and container limits are counted. */
  readonly cores: { readonly machine: number; readonly usable: number };
  readonly memory: {
    readonly totalMiB: number;
    readonly availableMiB: number;
    /** Of the container or batch job, where it is less than the machine's. */
    readonly limitMiB?: number;
  };
  readonly disks: readonly Disk[];
  /** Linux with another C library than glibc (Alpine's musl), for which ONNX Runtime has no build. */
  readonly musl: boolean;
}

export interface Disk {
  readonly use: "runs" | "data sets";
  /** The folder, or the nearest one above that is there. */
  readonly folder: string;
  readonly freeMiB: number;
}

const MIB = 2 ** 20;

export async function lookAtMachine(): Promise<Machine> {
  const disks = await Promise.all([
    disk("runs", resolve("runs")),
    disk("data sets", attempt(() => cacheFolder()) ?? resolve(".")),
  ]);
  return {
    platform: process.platform,
    arch: process.arch,
    cpu: attempt(() => cpus()[0]?.model.trim()) || undefined,
    features: await cpuFeatures(),
    cores: {
      machine: Math.max(1, attempt(() => cpus().length) ?? 1),
      usable: attempt(availableParallelism) ?? 1,
    },
    memory: memory(),
    disks: disks.filter((found) => found !== undefined),
    musl: process.platform === "linux" && attempt(glibc) === undefined,
  };
}

function memory(): Machine["memory"] {
  const total = totalmem();
  const limit = attempt(() => process.constrainedMemory()) ?? 0;
  const available = attempt(() => process.availableMemory()) ?? freemem();
  return {
    totalMiB: Math.round(total / MIB),
    availableMiB: Math.round(available / MIB),
    // Without a limit this is 0, or a number larger than any machine.
    ...(limit > 0 && limit < total && { limitMiB: Math.round(limit / MIB) }),
  };
}

async function disk(use: Disk["use"], wanted: string): Promise<Disk | undefined> {
  let folder = wanted;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    const { bavail, bsize } = await statfs(folder);
    return { use, folder, freeMiB: Math.floor((bavail * bsize) / MIB) };
  } catch {
    return undefined;
  }
}

/** Version of glibc, where this Node is linked with it. */
function glibc(): string | undefined {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime;
}

/** As Linux names them → as people do; those by which ONNX Runtime's kernels (MLAS) choose their code. */
const FEATURES: Readonly<Record<string, string>> = {
  sse4_1: "SSE4.1",
  avx: "AVX",
  fma: "FMA",
  avx2: "AVX2",
  avx512f: "AVX-512",
  avx512_bf16: "AVX-512 BF16",
  avx_vnni: "AVX-VNNI",
  avx512_vnni: "AVX-512 VNNI",
  amx_tile: "AMX",
  amx_int8: "AMX int8",
  amx_bf16: "AMX BF16",
  asimd: "NEON",
  asimdhp: "NEON fp16",
  asimddp: "dot product",
  i8mm: "I8MM",
  bf16: "BF16",
  sve: "SVE",
};

/** The names of `flags` that matter, in the order of the table above. */
export function namedFeatures(flags: Iterable<string>): string[] {
  const there = new Set(flags);
  return Object.entries(FEATURES).flatMap(([flag, name]) => (there.has(flag) ? [name] : []));
}

async function cpuFeatures(): Promise<string[] | undefined> {
  if (process.platform === "linux") {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readText("/proc/cpuinfo") ?? "")?.[1];
    return line === undefined ? undefined : namedFeatures(line.trim().split(/\s+/));
  }
  if (process.platform === "darwin") {
    const listed = await outputOf("sysctl", ["-a"]);
    return listed === undefined ? undefined : namedFeatures(darwinFlags(listed));
  }
  return undefined; // Windows has no list that a plain program can read
}

/** Linux names of what `sysctl -a` of macOS lists. */
export function darwinFlags(listed: string): string[] {
  const flags = [...listed.matchAll(/^machdep\.cpu\.(?:leaf7_)?features: (.*)$/gm)].flatMap(
    ([, names = ""]) =>
      names.split(" ").map((name) => ({ "SSE4.1": "sse4_1", "AVX1.0": "avx" })[name] ?? name.toLowerCase()),
  );
  const arm: Readonly<Record<string, string>> = {
    AdvSIMD: "asimd",
    "arm.AdvSIMD": "asimd",
    neon: "asimd",
    "arm.FEAT_FP16": "asimdhp",
    "arm.FEAT_DotProd": "asimddp",
    "arm.FEAT_I8MM": "i8mm",
    "arm.FEAT_BF16": "bf16",
  };
  for (const [, name = ""] of listed.matchAll(/^hw\.optional\.(\S+): 1$/gm)) {
    const flag = arm[name];
    if (flag !== undefined) flags.push(flag);
  }
  return flags;
}
