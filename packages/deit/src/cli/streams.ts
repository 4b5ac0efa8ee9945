/**
 * What is printed may be lost, the work may not: a reader that closed the pipe (`| head`), a terminal that is gone, a full
 * disk under a log. Nothing ends for that. What is written afterwards is tried again, so that a log goes on once its disk
 * has space. This file runs on old releases of Node, too: no syntax that they lack.
 */

/** Losses that are not failure: whoever read the output has gone. */
const READER_GONE = new Set(["EPIPE", "EIO", "ENXIO", "ECONNRESET"]);

const lost = new Set<NodeJS.WriteStream>();
let failure: Error | undefined;

/** Keeps errors of the process's own streams from ending it. Called once, first of all. */
export function keepGoingWithoutOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      lost.add(stream);
      if (stream !== process.stdout || READER_GONE.has(error.code ?? "") || failure !== undefined) return;
      failure = error;
      process.stderr.write(`error: the output could not be written: ${error.message}\n`);
      if (!process.exitCode) process.exitCode = 1;
    });
  }
}

/** Whether nobody reads results any more: no use in computing more of them only to print them. */
export function isOutputLost(): boolean {
  return lost.has(process.stdout);
}

/** The exit code of the process, whose work ended with `code`: results that could not be written are a failure. */
export function exitCodeAfter(code: number): number {
  return code === 0 && failure !== undefined ? 1 : code;
}
