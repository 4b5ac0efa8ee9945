/** One invocation of the command line: words in, exit code out. Everything it says goes to the process's streams. */
import { launchOf } from "../ranks/launcher.ts";
import { labFor } from "./lab.ts";
import { createProgram, normaliseFlags, overview, packageVersion } from "./command-tree.ts";
import { EXIT, reportError } from "./report-error.ts";

/** Runs `deit` with these words (`["train", "./photos"]`) and returns the exit code: 0, 1, 2, 3 or 130. */
export async function run(words: readonly string[]): Promise<number> {
  try {
    if (words.length === 0) process.stdout.write(overview());
    else await createProgram(await labFor(words)).parseAsync(normaliseFlags(words), { from: "user" });
    return EXIT.done;
  } catch (error) {
    const report = (): number => reportError(error, { version: packageVersion() });
    if (launchOf(process.env) === undefined) return report();
    const { endRank } = await import("./rank-end.ts");
    return endRank(error, report);
  }
}
