/**
 * Whether other programs want the cores that a session computes on. A thread of ONNX Runtime that waits for its neighbours
 * spins: fastest on an idle machine, and several times slower than sleeping where another program needs the core.
 */

/** CPU time so far, in milliseconds. */
export interface CpuTimes {
  /** Of all cores and programs. */
  readonly all: number;
  /** Of this process. */
  readonly own: number;
}

/** What a meter looks at. */
export interface CpuMonitor {
  readonly cores: number;
  /** Milliseconds; asked at every run. */
  readonly now: () => number;
  /** Asked once a window: the system tells the times of every core. */
  readonly read: () => CpuTimes;
}

export interface ContentionMeter {
  /** Whether threads should sleep rather than spin, by what was seen last. */
  isContended(): boolean;
}

/** Time between two looks: CPU times come in ticks of 10 ms. */
const WINDOW_MS = 1000;
/** The first look, before any work is done. */
const FIRST_WINDOW_MS = 50;
/** Part of a core that the session may lack before it counts; half of one in the first, short window. */
const LACKING = { first: 0.5, later: 0.25 } as const;
/** Quiet looks in a row until threads spin again: each change loads the session anew. */
const QUIET_WINDOWS = 5;

/** `threads` of a session. The first answer is that of the time since the meter was made. */
export function createContentionMeter({
  threads,
  cores,
  now,
  read,
}: CpuMonitor & { threads: number }): ContentionMeter {
  let since = now();
  let before = read();
  let contended: boolean | undefined;
  let quiet = 0;
  return {
    isContended() {
      const elapsed = now() - since;
      if (elapsed < (contended === undefined ? FIRST_WINDOW_MS : WINDOW_MS)) return contended ?? false;
      const times = read();
      const others = (times.all - before.all - (times.own - before.own)) / elapsed;
      const isLacking =
        threads - (cores - others) > (contended === undefined ? LACKING.first : LACKING.later);
      since += elapsed;
      before = times;
      quiet = isLacking ? 0 : quiet + 1;
      if (isLacking || contended === undefined) contended = isLacking;
      else if (quiet >= QUIET_WINDOWS) contended = false;
      return contended;
    },
  };
}
