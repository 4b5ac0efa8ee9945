/**
 * One progress line on stderr: a bar with rate and time left on a terminal, a plain line every ten seconds
 * elsewhere (log files, CI).
 */
import { Presets, SingleBar } from "cli-progress";
import { duration } from "./text-format.ts";
import { printLine } from "../output.ts";

const SPARSE_MS = 10_000;

export interface Progress {
  /** `text` follows the bar: loss, rate, time left. */
  update(done: number, total: number, text?: string): void;
  /** Prints a line above the bar. */
  line(text: string): void;
  /** Takes the bar away. May be called twice. */
  stop(): void;
}

export function createProgress(label: string, stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? bar(label, stream) : sparseLines(label, stream);
}

/** "120 images/s, 3 min left", measured from the first call. */
export function rateMeter(unit: string): (done: number, total: number) => string {
  const start = performance.now();
  return (done, total) => {
    const rate = done / Math.max(1e-3, (performance.now() - start) / 1000);
    return `${rate.toFixed(rate < 10 ? 1 : 0)} ${unit}/s, ${duration((total - done) / Math.max(1e-9, rate))} left`;
  };
}

function bar(label: string, stream: NodeJS.WriteStream): Progress {
  const options = {
    stream,
    format: "{label} {bar} {percentage}%  {text}",
    barsize: 24,
    hideCursor: false, // a process that is killed could not give it back
    clearOnComplete: true,
    linewrap: false,
    gracefulExit: false,
    fps: 8,
  };
  let current: SingleBar | undefined;
  const stop = (): void => {
    current?.stop();
    current = undefined;
  };
  return {
    update(done, total, text = "") {
      if (current === undefined) {
        current = new SingleBar(options, Presets.shades_classic);
        current.start(total, done, { label, text });
      }
      current.setTotal(total);
      current.update(done, { text });
    },
    line(text) {
      stop();
      printLine(stream, text);
    },
    stop,
  };
}

function sparseLines(label: string, stream: NodeJS.WriteStream): Progress {
  let next = performance.now() + SPARSE_MS;
  return {
    update(done, total, text = "") {
      if (performance.now() < next) return;
      next = performance.now() + SPARSE_MS;
      stream.write(`${label} ${Math.floor((100 * done) / Math.max(1, total))}%  ${text}\n`);
    },
    line: (text) => printLine(stream, text),
    stop() {},
  };
}
