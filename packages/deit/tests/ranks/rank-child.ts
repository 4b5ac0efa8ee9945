/** One rank of a training: node rank-child.ts OPTIONS, as several processes of mpirun. Rank 0 prints what becomes of it. */
import type { TrainOptions } from "../../src/config/schema.ts";
import { planTraining } from "../../src/training/plan.ts";
import { train } from "../../src/training/train.ts";
import type { TrainEvent } from "../../src/training/train.ts";
import { joinRanks } from "../../src/ranks/mpi-ranks.ts";

interface Changes {
  /** Options of single ranks, by rank. */
  readonly byRank?: Readonly<Record<string, Partial<TrainOptions>>>;
  /** Stop after so many steps. */
  readonly stopAfter?: number;
}

const options = JSON.parse(process.argv[2] ?? "") as TrainOptions & Changes;
const ranks = await joinRanks();
if (ranks === undefined) throw new Error("no ranks");
const { byRank = {}, stopAfter, ...all } = options;
const own: TrainOptions = { ...all, ...byRank[String(ranks.rank)] };
ranks.timeout = 20_000;
const controller = new AbortController();
let steps = 0;
const onEvent = (event: TrainEvent): void => {
  if (event.type === "step" && ++steps === stopAfter) controller.abort();
};
try {
  await train(planTraining(own), { onEvent, signal: controller.signal }, {}, ranks);
} catch (error) {
  if (!ranks.isShared(error)) {
    console.error(error);
    ranks.abort(1);
  }
  process.exitCode = 1;
  const { message, code } = error as Error & { code?: string };
  if (ranks.rank === 0) console.log(JSON.stringify({ message, code }));
}
await ranks.leave();
