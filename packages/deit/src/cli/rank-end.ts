/** How a command that is one of several ranks ends: with one voice where all know the error, else with the rank's name. */
import { ConfigError } from "../errors.ts";
import { openRanks } from "../ranks/mpi-ranks.ts";
import { printLine } from "./output.ts";
import { EXIT } from "./report-error.ts";

/** Reports the error of a command, where this rank is to, and ends the others. Returns the exit code. */
export async function endRank(error: unknown, report: () => number): Promise<number> {
  const ranks = openRanks();
  if (ranks === undefined) return report();
  if (!ranks.isShared(error)) {
    printLine(process.stderr, `${ranks.name(ranks.rank)} ends the run:`);
    report();
    ranks.abort(EXIT.failed);
    return EXIT.failed;
  }
  const code = ranks.rank === 0 ? report() : quietCode(error);
  await ranks.leave();
  return code;
}

/** As rank 0 ends. */
function quietCode(error: unknown): number {
  if (error instanceof Error && error.name === "InterruptedError") return EXIT.interrupted;
  return error instanceof ConfigError ? EXIT.usage : EXIT.failed;
}
