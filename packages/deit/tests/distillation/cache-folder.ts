/** A folder of teacher caches for the tests of a file. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach } from "vitest";
import type { TeacherCache, TeacherCacheOptions } from "../../src/distillation/teacher-cache.ts";
import { openTeacherCache } from "../../src/distillation/teacher-cache.ts";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../data/temporary.ts";

export const SHAPE = { batchSize: 4, width: 3, stepsPerEpoch: 5 } as const;
/** Bytes of one step. */
export const RECORD = 4 + 4 * 12;

export function logits(epoch: number, step: number): Float32Array {
  const random = createRandom(7, "logits", epoch, step);
  return Float32Array.from({ length: 12 }, () => random.normal(0, 5));
}

export interface CacheFolder {
  /** Another one for each test. */
  readonly folder: string;
  readonly openCache: (changes?: Partial<TeacherCacheOptions>) => Promise<TeacherCache>;
  /** A cache with every step of two epochs. */
  readonly filled: (changes?: Partial<TeacherCacheOptions>) => Promise<TeacherCache>;
  readonly keyFolder: () => Promise<string>;
  readonly epochFile: (epoch?: number) => Promise<string>;
  /** Files that say who uses the cache. */
  readonly marks: () => Promise<string[]>;
  /** All bytes of answers in the folder. */
  readonly size: () => Promise<number>;
}

/** To be called where a test file begins. */
export function cacheFolder(): CacheFolder {
  const home = { folder: "" };
  beforeEach(async () => {
    home.folder = await temporaryFolder();
  });
  async function openCache(changes: Partial<TeacherCacheOptions> = {}): Promise<TeacherCache> {
    return openTeacherCache({
      folder: home.folder,
      key: { teacher: "a", seed: 1 },
      ...SHAPE,
      maxBytes: 1e6,
      ...changes,
    });
  }

  async function filled(changes: Partial<TeacherCacheOptions> = {}): Promise<TeacherCache> {
    const opened = await openCache(changes);
    for (const epoch of [0, 1])
      for (let step = 0; step < SHAPE.stepsPerEpoch; step++)
        await opened.write(epoch, step, logits(epoch, step));
    return opened;
  }

  async function keyFolder(): Promise<string> {
    const [name = ""] = await readdir(home.folder);
    return join(home.folder, name);
  }

  async function epochFile(epoch = 0): Promise<string> {
    return join(await keyFolder(), `000${epoch}.f32`);
  }

  async function marks(): Promise<string[]> {
    return (await readdir(await keyFolder())).filter((name) => name.startsWith("in-use-"));
  }

  async function size(): Promise<number> {
    const files = (await readdir(home.folder, { recursive: true })).filter((file) => file.endsWith(".f32"));
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(home.folder, file))).size));
    return sizes.reduce((total, bytes) => total + bytes, 0);
  }

  return {
    get folder() {
      return home.folder;
    },
    openCache,
    filled,
    keyFolder,
    epochFile,
    marks,
    size,
  };
}
