/**
 * Ctrl-C and SIGTERM (batch systems send it before they kill): the first asks the work to save and stop, the
 * second ends the process at once.
 */
import { EXIT } from "./report-error.ts";

/** Runs `work` with a signal that the first Ctrl-C aborts; `onFirst` tells the user that it was heard. */
export async function withInterrupt<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onFirst: () => void,
): Promise<T> {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) return process.exit(EXIT.interrupted);
    onFirst();
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    return await work(controller.signal);
  } finally {
    process.removeListener("SIGINT", onSignal);
    process.removeListener("SIGTERM", onSignal);
  }
}
