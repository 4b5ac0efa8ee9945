/** A folder as one compressed tar file that plain `tar -xf` unpacks. */
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { Duplex, Writable } from "node:stream";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { packTar } from "modern-tar/fs";

/** Endings of archives, smallest result first. */
export const ENDINGS = [".tar.xz", ".tar.zst", ".tar.gz"] as const;
export type Ending = (typeof ENDINGS)[number];

/** xz packs these files best (by a fifth over gzip), and is nearly everywhere; Node itself has zstd. */
export function bestEnding(): Ending {
  return spawnSync("xz", ["--version"], { stdio: "ignore" }).status === 0 ? ".tar.xz" : ".tar.zst";
}

/** Packs the folder under its own name. The same files give the same bytes: no times, no owners. */
export async function pack(folder: string, file: string, ending: Ending): Promise<void> {
  const name = basename(folder);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  // one order, whatever the disk and the number of cores
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  const sources = files.map((source) => ({
    type: "file" as const,
    source,
    target: `${name}/${relative(folder, source).replaceAll("\\", "/")}`,
  }));
  const tar = packTar(sources, {
    map: (header) => ({
      ...header,
      mtime: new Date(0),
      uid: 0,
      gid: 0,
      uname: "",
      gname: "",
    }),
  });
  await (ending === ".tar.xz"
    ? throughXz(Readable.from(tar), createWriteStream(file))
    : pipeline(Readable.from(tar), compressor(ending), createWriteStream(file)));
}

function compressor(ending: Exclude<Ending, ".tar.xz">): Duplex {
  if (ending === ".tar.gz") return createGzip({ level: 9 });
  const { ZSTD_c_compressionLevel, ZSTD_c_windowLog } = constants;
  return createZstdCompress({ params: { [ZSTD_c_compressionLevel]: 19, [ZSTD_c_windowLog]: 27 } });
}

async function throughXz(tar: Readable, out: Writable): Promise<void> {
  const xz = spawn("xz", ["-6", "-T0", "-c"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve, reject) => {
    xz.on("error", reject);
    xz.on("close", resolve);
  });
  await Promise.all([pipeline(tar, xz.stdin), pipeline(xz.stdout, out)]);
  const code = await ended;
  if (code !== 0) throw new Error(`xz ended with ${code}`);
}
