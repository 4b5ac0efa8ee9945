/** How fast a run trains, what is left of it by that, and where its time goes. */

/** Sums up stretches of time. */
export class Stopwatch {
  private total = 0;
  private started = 0;

  start(): void {
    this.started = performance.now();
  }

  /** Ends a stretch; one that is never ended does not count. */
  stop(): void {
    this.total += performance.now() - this.started;
  }

  reset(): void {
    this.total = 0;
  }

  /** Of all stretches since the last reset. */
  get seconds(): number {
    return this.total / 1000;
  }
}

/** Images a second, of steps alone and weighing recent ones more. */
export class Speed {
  private secondsPerStep = 0;
  private weight = 0;
  private started = 0;
  private readonly batchSize: number;

  constructor(batchSize: number) {
    this.batchSize = batchSize;
  }

  start(): void {
    this.started ||= performance.now();
  }

  /** Ends a step, or several at once; the next one starts here, so that waiting for images counts. */
  stop(steps: number): void {
    const now = performance.now();
    this.weight = Math.min(this.weight + steps, 50);
    const share = Math.min(1, steps / this.weight);
    this.secondsPerStep += ((now - this.started) / 1000 / steps - this.secondsPerStep) * share;
    this.started = now;
  }

  /** What comes until the next start is not a step: validation, saving. */
  pause(): void {
    this.started = 0;
  }

  get imagesPerSecond(): number {
    return this.secondsPerStep === 0 ? 0 : this.batchSize / this.secondsPerStep;
  }

  secondsFor(steps: number): number {
    return steps * this.secondsPerStep;
  }
}
