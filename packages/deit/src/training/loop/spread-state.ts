/** The state of rank 0 on every rank: at the start, when it alone may have a file to go on from. */
import type { Layout } from "../../nn/parameters.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import type { Message, Ranks } from "../../ranks/ranks.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Counters } from "../run/run-state.ts";
import type { Progress } from "./run-progress.ts";
import { progressOf } from "./run-progress.ts";
import { trainingState } from "./training-programs.ts";

interface StateParts {
  readonly runtime: Pick<Runtime, "getState" | "setState">;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
}

/** Reading a large state takes rank 0 a while. */
const READING_PATIENCE = 10;

/**
 * Makes the ranks alike again, should they have come apart: processors of other kinds may round an update differently.
 * Returns whether they had.
 */
export async function alignState(ranks: Ranks, parts: StateParts, progress: Progress): Promise<boolean> {
  const marks: number[] = [];
  for (const { name } of parts.layout.vectors)
    marks.push(fingerprint(await parts.runtime.getState(`W.${name}`)));
  const found = await ranks.gather(marks, { patience: READING_PATIENCE });
  const isApart = new Set(found.map((mark) => JSON.stringify(mark))).size > 1;
  if (isApart) await spreadState(ranks, parts, progress);
  return isApart;
}

/** FNV-1a over the bits of a vector. */
function fingerprint({ buffer, byteOffset, length }: Float32Array): number {
  let hash = 0x811c9dc5;
  for (const bits of new Uint32Array(buffer, byteOffset, length)) hash = Math.imul(hash ^ bits, 0x01000193);
  return hash;
}

/** Replaces the state of the other ranks by that of rank 0, bit for bit. Returns where rank 0 stands. */
export async function spreadState(
  ranks: Ranks,
  { runtime, layout, optimizer }: StateParts,
  progress: Progress,
): Promise<Progress> {
  const { best, ...counters } = progress;
  const own = ranks.rank === 0 ? ({ ...counters, ...(best && { best }) } as Message) : null;
  const [first] = await ranks.gather(own, { patience: READING_PATIENCE });
  for (const { name } of trainingState(layout, optimizer)) {
    const vector = await runtime.getState(name);
    await ranks.spread([vector]);
    if (ranks.rank !== 0) await runtime.setState(name, vector);
  }
  return ranks.rank === 0 ? progress : progressOf(first as unknown as Counters);
}
