/** A run of fine-tuning as the page sees it: what was asked for, how far it is, what it changed. */
import type { ImproveOptions } from "../engine/improve.ts";

/** What a run was begun with; kept beside it. */
export interface RunRecord {
  readonly options: ImproveOptions;
  /** Images by id, with the index of their class. */
  readonly training: readonly (readonly [string, number])[];
  readonly held: readonly (readonly [string, number])[];
  /** Held-out images that were right before, by id. */
  readonly before: Readonly<Record<string, boolean>>;
  /** The weights that it started from (modelKey). */
  readonly model: string;
  /** It ran to its end. */
  readonly done?: boolean;
}

/** A point of the curve. */
export interface EpochPoint {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly testLoss: number;
  /** Percent of the held-out images. */
  readonly acc1: number;
}

export interface Progress {
  readonly state: "idle" | "starting" | "running" | "pausing" | "paused" | "done";
  readonly record?: RunRecord | undefined;
  readonly points: readonly EpochPoint[];
  readonly epoch: number;
  readonly step: number;
  readonly steps: number;
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}

export const IDLE: Progress = {
  state: "idle",
  points: [],
  epoch: 0,
  step: 0,
  steps: 0,
  imagesPerSecond: 0,
  secondsLeft: 0,
};

/** Change of the share of right answers in points, on the same images, with the half width of its 95 % interval. */
export function pairedChange(
  before: readonly boolean[],
  after: readonly boolean[],
): { readonly points: number; readonly interval: number } {
  const n = before.length;
  const changes = after.map((right, i) => Number(right) - Number(before[i]));
  const mean = changes.reduce((sum, change) => sum + change, 0) / Math.max(1, n);
  const variance = changes.reduce((sum, change) => sum + (change - mean) ** 2, 0) / Math.max(1, n - 1);
  return { points: 100 * mean, interval: 100 * 1.96 * Math.sqrt(variance / Math.max(1, n)) };
}
