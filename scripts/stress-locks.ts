/**
 * Four processes that compete for one lock and are killed at random, for as long as it is asked. Fails when two were inside
 * at a time, or when one waited more than 5 s.
 *
 *   npx node scripts/stress-locks.ts [--seconds 600] [--seed 0] [--processes 4]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { contendForLock } from "../packages/deit/tests/helpers/lock-contest.ts";

const LONGEST_WAIT = 5000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: "0" },
    processes: { type: "string", default: "4" },
  },
});
const folder = await mkdtemp(join(tmpdir(), "locks-"));
try {
  const result = await contendForLock(join(folder, "lock"), {
    seed: Number(values.seed),
    seconds: Number(values.seconds),
    processes: Number(values.processes),
  });
  console.log(JSON.stringify(result));
  if (result.together > 0 || result.longestWait > LONGEST_WAIT) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
