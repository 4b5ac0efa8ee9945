/**
 * Ctrl-C, SIGTERM and SIGUSR2 (batch systems send one of them before they kill, and MPI launchers pass on the last) and SIGHUP (the terminal closed): the first asks the work to save
 * and stop. A second Ctrl-C or SIGTERM ends the process at once. By then nothing listens for them, so that the system ends
 * it, also where it computes in native code and would not hear. SIGHUP never does: one closed terminal sends several.
 */
const STOPPING: readonly NodeJS.Signals[] =
  process.platform === "win32" ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGUSR2"];

/**
 * What comes so soon after the first signal is the same wish again: npx passes on the Ctrl-C that the terminal has sent to
 * all, and timeout signals its command and then its whole group.
 */
const ECHO_MS = 250;

/** Runs `work` with a signal that the first Ctrl-C aborts; `onFirst` tells the user that it was heard. */
export async function withInterrupt<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onFirst: () => void,
): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stopListening = (): void => {
    for (const name of STOPPING) process.removeListener(name, onSignal);
  };
  const onSignal = (): void => {
    if (controller.signal.aborted) return;
    timer = setTimeout(stopListening, ECHO_MS);
    controller.abort();
    onFirst();
  };
  for (const name of STOPPING) process.on(name, onSignal);
  // Where there is a listener already, the process is to go on without its terminal (main.ts).
  // main.ts listens where the process is to go on without its terminal.
  if (process.listenerCount("SIGHUP") === 0) process.on("SIGHUP", onSignal);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    stopListening();
    process.removeListener("SIGHUP", onSignal);
  }
}
