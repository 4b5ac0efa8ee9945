/** Atomic writes: whole or not at all, also on a disk that is really full or really read-only. */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  describeWriteFailure,
  openGrowingFile,
  removeTemporaries,
  writeFileAtomic,
} from "../../src/formats/atomic-file.ts";
import { isTemporaryName, OWNER } from "../../src/formats/left-overs.ts";
import { DeitError } from "../../src/errors.ts";
import { canMountSmallDisk, mountSmallDisk } from "./small-disk.ts";
import type { SmallDisk } from "./small-disk.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "deit-atomic-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;

test("writes bytes, text and streams, and replaces what was there", async () => {
  const path = join(folder, "a.bin");
  await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
  expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  await writeFileAtomic(path, "text");
  expect(await readFile(path, "utf8")).toBe("text");
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(65);
    yield new Uint8Array(0);
    yield Uint8Array.of(66);
  }
  await writeFileAtomic(path, stream());
  expect(await readFile(path, "utf8")).toBe("AB");
  expect((await readdir(folder)).filter(isTemporaryName)).toEqual([]);
});

test("a stream that fails half way leaves the old file and no temporary one", async () => {
  const path = join(folder, "kept.txt");
  await writeFile(path, "old");
  function* broken(): Generator<Uint8Array> {
    yield new Uint8Array(100_000);
    throw new Error("the source broke");
  }
  await expect(writeFileAtomic(path, broken())).rejects.toThrow("the source broke");
  expect(await readFile(path, "utf8")).toBe("old");
  expect((await readdir(folder)).filter(isTemporaryName)).toEqual([]);
});

test("a file that grows is there when it is whole, or not at all", async () => {
  const path = join(folder, "grown.txt");
  await writeFile(path, "old");
  const left = await openGrowingFile(path);
  await left.write("half");
  expect(await readFile(path, "utf8")).toBe("old");
  await left.discard();
  expect((await readdir(folder)).filter(isTemporaryName)).toEqual([]);
  const whole = await openGrowingFile(path);
  for (const part of ["one ", "two ", "⚗"]) await whole.write(part);
  await whole.commit();
  await whole.discard();
  expect(await readFile(path, "utf8")).toBe("one two ⚗");
  await expect(openGrowingFile(join(folder, "none", "x"), { what: "the page" })).rejects.toThrow(
    /^Cannot save the page to .*none.x: the folder is not there/,
  );
});

test("a missing folder, a folder in the way, a file as a folder", async () => {
  await expect(writeFileAtomic(join(folder, "none", "x"), "x", { what: "the log" })).rejects.toThrow(
    /^Cannot save the log to .*none.x: the folder is not there \(1 bytes are needed\)/,
  );
  await mkdir(join(folder, "taken"));
  await expect(writeFileAtomic(join(folder, "taken"), "x")).rejects.toThrow(
    /a folder of that name is in the way/,
  );
  await writeFile(join(folder, "plain"), "");
  await expect(writeFileAtomic(join(folder, "plain", "x"), "x")).rejects.toThrow(/is a file, not a folder/);
});

test.skipIf(isRoot || process.platform === "win32")(
  "a folder without permission (root may do anything: skipped)",
  async () => {
    const closed = join(folder, "closed");
    await mkdir(closed);
    await chmod(closed, 0o500);
    await expect(writeFileAtomic(join(closed, "x"), "x")).rejects.toThrow(/no permission/);
  },
);

test("temporary files of a killed process are found and removed, others are not", async () => {
  const left = await mkdtemp(join(folder, "left-"));
  await writeFile(join(left, ".state.safetensors.0123456789ab.tmp"), "");
  await writeFile(join(left, ".notes.tmp"), "");
  await writeFile(join(left, "state.safetensors"), "");
  expect(await removeTemporaries(left)).toEqual([".state.safetensors.0123456789ab.tmp"]);
  expect((await readdir(left)).toSorted()).toEqual([".notes.tmp", "state.safetensors"]);
});

test("what a killed process left in a folder is removed by the next one that writes there", async () => {
  const at = await mkdtemp(join(folder, "killed-"));
  const [mine] = OWNER.split("-");
  const left = `.answers.csv.${mine}-${2 ** 22 + 5}-0123ab.tmp`;
  const kept = [
    `.answers.csv.${OWNER}-0123ab.tmp`, // being written
    `.answers.csv.${mine}-${process.ppid}-0123ab.tmp`,
    ".answers.csv.01234567-77-0123ab.tmp", // another machine's
    ".notes.tmp",
  ];
  for (const name of [left, ...kept]) await writeFile(join(at, name), "half");
  await (await openGrowingFile(join(at, "answers.csv"))).commit();
  expect((await readdir(at)).toSorted()).toEqual([...kept, "answers.csv"].toSorted());
});

test("system errors are named, other errors pass", async () => {
  const at = { path: join(folder, "x"), what: "the model" };
  const bug = new TypeError("a bug");
  expect(await describeWriteFailure(bug, at)).toBe(bug);
  const denied = await describeWriteFailure(Object.assign(new Error("EACCES: …"), { code: "EACCES" }), at);
  expect(denied).toBeInstanceOf(DeitError);
  expect(String(denied)).toMatch(/no permission to write there/);
  const odd = await describeWriteFailure(
    Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" }),
    at,
  );
  expect(String(odd)).toMatch(/too many open files/);
});

describe.skipIf(!canMountSmallDisk())("on a real small disk (skipped unless a tmpfs can be mounted)", () => {
  let disk: SmallDisk | undefined;
  let mount = "";
  beforeAll(() => {
    disk = mountSmallDisk({ kib: 64 });
    mount = disk.path;
  });
  afterAll(() => disk?.unmount());

  test("a full disk: the old file stays, the message says how much is missing", async () => {
    const path = join(mount, "state.safetensors");
    await writeFileAtomic(path, new Uint8Array(20_000).fill(7));
    const failure = writeFileAtomic(path, new Uint8Array(60_000), { what: "the training state" });
    await expect(failure).rejects.toThrow(DeitError);
    await expect(failure).rejects.toThrow(
      /^Cannot save the training state to .*state\.safetensors: no space left on the disk \(58\.6 KiB are needed, \d+\.\d KiB are free\)\. What was there before is unchanged\.\nFree some space/,
    );
    expect(await readFile(path)).toEqual(Buffer.alloc(20_000, 7));
    expect(await readdir(mount)).toEqual(["state.safetensors"]);
    await writeFileAtomic(path, new Uint8Array(30_000));
  });

  test("a read-only disk", async () => {
    execFileSync("mount", ["-o", "remount,ro", mount]);
    await expect(writeFileAtomic(join(mount, "x"), "x")).rejects.toThrow(/the disk is read-only/);
    execFileSync("mount", ["-o", "remount,rw", mount]);
  });
});

test.skipIf(process.platform === "win32")("a link is replaced by the file, not written through", async () => {
  const target = join(folder, "target.txt");
  const link = join(folder, "link.txt");
  await writeFile(target, "target");
  await symlink(target, link);
  await writeFileAtomic(link, "new");
  expect([await readFile(link, "utf8"), await readFile(target, "utf8")]).toEqual(["new", "target"]);
});
