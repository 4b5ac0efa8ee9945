/**
 * Reads damaged files, one seed after another, and tells its parent of each: the parent ends what hangs, and starts another
 * process when this one has kept so much of what it has freed that a file's own memory could not be told.
 */
import type { Outcome } from "./try.ts";
import { specimens, tryMutant } from "./try.ts";

export interface Range {
  /** A folder of its own. */
  readonly root: string;
  readonly from: number;
  readonly to: number;
  /** Part of the names of kinds that are tried; all by default. */
  readonly kind?: string | undefined;
}

export type Message =
  | { readonly at: number }
  | { readonly outcome: Outcome }
  | { readonly unhandled: string };

/** Freed memory that the process has not given back counts as the next file's: less than one may take, in bytes. */
const MOST_KEPT = 600e6;
const { root, from, to, kind = "" } = JSON.parse(process.argv[2] ?? "") as Range;
const say = (message: Message): void => void process.send?.(message);
process.on("unhandledRejection", (error) =>
  say({ unhandled: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
);
process.on("warning", ({ name, message }) => say({ unhandled: `${name}: ${message}` })); // Node prints them
const all = (await specimens(root)).filter((specimen) => specimen.kind.includes(kind));
const base = process.memoryUsage.rss();
for (let seed = from; seed < to; seed++) {
  say({ at: seed });
  const { bytes, ...outcome } = await tryMutant(root, seed, all);
  say({ outcome: { ...outcome, bytes: Math.max(0, bytes - base) } });
  if (process.memoryUsage.rss() > base + MOST_KEPT) break;
}
process.disconnect();
