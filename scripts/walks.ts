/**
 * How many source files one thing passes through: an image from disk to its loss, hard distillation (Eq. 3) from its flag to
 * its graph node, a parameter from its birth to its file. Every walk is run twice, the second time with more of the thing;
 * a file is on the walk when functions of it ran more often then, in whichever thread, or when it lies on the stack where
 * the thing is read or made. Graph nodes are one place, and so is the runtime that executes programs: what PyTorch is for
 * other trainers. Generated code is not counted.
 *
 *     npx node scripts/walks.ts [--files]
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = new URL("../packages/deit/src/", import.meta.url).href;
const WALKS = {
  image: "an image, from disk to its loss",
  distillation: "Eq. 3, from the flag to the graph node",
  parameter: "blocks.0.attn.qkv.weight, from birth to file",
} as const;

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly functionName: string;
      readonly ranges: readonly { readonly startOffset: number; readonly count: number }[];
    }[];
  }[];
}

/** How often every function of packages/deit/src/ ran in a process of its own, by file and place. */
async function countCalls(
  walk: string,
  amount: string,
): Promise<{ calls: Map<string, number>; via: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), "walks-"));
  try {
    const child = fileURLToPath(new URL("walk-child.ts", import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [child, walk, amount, folder], {
      env: { ...process.env, NODE_V8_COVERAGE: join(folder, "coverage") },
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`${walk}: ${stderr}`);
    const calls = new Map<string, number>();
    for (const file of await readdir(join(folder, "coverage"))) {
      const { result } = JSON.parse(await readFile(join(folder, "coverage", file), "utf8")) as Coverage;
      for (const { url, functions } of result) {
        if (!url.startsWith(SOURCE) || url.includes("/generated/")) continue;
        for (const { ranges } of functions) {
          const [{ startOffset, count } = { startOffset: 0, count: 0 }] = ranges;
          if (startOffset === 0) continue; // the file itself, which is loaded once
          const key = `${url.slice(SOURCE.length)} ${startOffset}`;
          calls.set(key, (calls.get(key) ?? 0) + count);
        }
      }
    }
    const via = [...stdout.matchAll(/^via (.*)$/gm)].map(([, file = ""]) => file);
    return { calls, via };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Folders that are one place. */
const PLACES = ["graph/", "runtime/"];

function asPlace(file: string): string {
  return PLACES.find((folder) => file.startsWith(folder)) ?? file;
}

for (const [walk, words] of Object.entries(WALKS)) {
  const [less, more] = [await countCalls(walk, "less"), await countCalls(walk, "more")];
  const passed = [...more.calls].filter(([place, calls]) => calls > (less.calls.get(place) ?? 0));
  const files = [...new Set([...passed.map(([place]) => place.split(" ")[0] ?? ""), ...more.via])];
  const places = [...new Set(files.map(asPlace))].toSorted();
  console.log(`${words}: ${places.length} (of ${files.length} files)`);
  if (process.argv.includes("--files")) for (const file of places) console.log(`  ${file}`);
}
