/** Long looks at images, as every command shows them: a bar with rate and time left, warnings, Ctrl-C. */
import { withInterrupt } from "../interrupt.ts";
import type { Output } from "../output.ts";
import { createProgress, rateMeter } from "./progress-line.ts";

/** What such work tells. */
type LookEvent =
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "evaluate" | "image"; readonly done: number; readonly total: number };

/** What the work is given: when to stop, and whom to tell. */
export interface LookHooks {
  readonly signal: AbortSignal;
  readonly onEvent: (event: LookEvent) => void;
}

/** Runs `work`; `label` stands before the bar, `unit` is what is counted. */
export async function withProgress<T>(
  { output, label, unit }: { readonly output: Output; readonly label: string; readonly unit: string },
  work: (hooks: LookHooks) => Promise<T>,
): Promise<T> {
  const progress = createProgress(label);
  const meter = rateMeter(unit);
  return withInterrupt(
    (signal) =>
      work({
        signal,
        onEvent(event) {
          if (event.type === "warning") output.warn(event.message);
          else progress.update(event.done, event.total, meter(event.done, event.total));
        },
      }),
    () => progress.line("stopping"),
  ).finally(progress.stop);
}
