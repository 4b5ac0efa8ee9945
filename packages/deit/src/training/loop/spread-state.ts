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
