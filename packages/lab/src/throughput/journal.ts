/**
 * Measurements that are kept as they are made, a line of JSON each, so that a long table goes on where it stopped. A last
 * line that was cut off is measured again. Node only.
 */
import { createHash } from "node:crypto";
import { appendFile, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { describeWriteFailure, makeFolder } from "deit-ts/studies";

export interface Journal {
  /** What was kept under these facts, or what `measure` finds, which is then kept. */
  remember<T>(facts: object, measure: () => Promise<T>): Promise<T>;
  /** Whether something is kept under these facts. */
  has(facts: object): boolean;
}

/** @param file where to keep them; undefined: in memory alone */
export async function openJournal(file: string | undefined): Promise<Journal> {
  const known = new Map<string, unknown>();
  const text = file === undefined ? "" : await readFile(file, "utf8").catch(() => "");
  for (const line of text.split("\n")) {
    const entry = parse(line);
    if (entry !== undefined) known.set(entry.key, entry.value);
  }
  if (file !== undefined) await makeFolder(dirname(file), { what: "what was measured" });
  const torn = text !== "" && !text.endsWith("\n");
  let start = torn ? "\n" : "";
  return {
    has: (facts) => known.has(keyOf(facts)),
    async remember<T>(facts: object, measure: () => Promise<T>): Promise<T> {
      const key = keyOf(facts);
      if (known.has(key)) return known.get(key) as T; // written by the line below, under the same facts
      const value = await measure();
      known.set(key, value);
      if (file !== undefined) {
        const line = JSON.stringify({ key, at: new Date().toISOString(), facts, value });
        await appendFile(file, `${start}${line}\n`).catch(async (error: unknown) => {
          throw await describeWriteFailure(error, { path: file, what: "what was measured" });
        });
        start = "";
      }
      return value;
    },
  };
}

function keyOf(facts: object): string {
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16);
}

function parse(line: string): { key: string; value: unknown } | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== "object" || entry === null || !("key" in entry) || !("value" in entry))
      return undefined;
    return { key: String(entry.key), value: entry.value };
  } catch {
    return undefined;
  }
}
