/** Downloads as they are shown on stderr: a line and a bar for each file. */
import type { ProgressListener } from "../../data/download/download-file.ts";
import { mebibytes } from "./text-format.ts";
import { withInterrupt } from "../interrupt.ts";
import { createProgress } from "./progress-line.ts";

/** Runs `work` with a listener that shows what is downloaded, and a signal that Ctrl-C aborts. */
export async function showDownloads<T>(
  label: string,
  work: (hooks: { onProgress: ProgressListener; signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  let [progress, what] = [createProgress(label), ""];
  const onProgress: ProgressListener = (event) => {
    if (event.what !== what) {
      progress.line(event.what);
      [progress, what] = [createProgress(label), event.what];
    }
    if (event.total !== undefined) progress.update(event.done, event.total, mebibytes(event.done / 2 ** 20));
  };
  return withInterrupt(
    (signal) => work({ onProgress, signal }),
    () => progress.line("stopping; the same command resumes from here"),
  ).finally(() => progress.stop());
}
