/** Axes of charts: where a value stands and what is written beside it. Scales and round numbers are d3's. */
import { scaleBand, scaleLinear, scaleLog } from "d3-scale";

export interface Tick {
  readonly value: number;
  readonly label: string;
}

/** An axis of some length, in pixels. */
export interface Placed {
  /** On an axis of names values are their numbers, from 0; they stand in the middle of their bands. */
  readonly at: (value: number) => number;
  readonly from: number;
  readonly to: number;
  /** Width of a name's band; 0 on axes of numbers. */
  readonly band: number;
  readonly ticks: readonly Tick[];
}

/** Does not know its length yet. */
export interface Axis {
  readonly title?: string | undefined;
  /** Length that its names need; undefined where the chart decides. */
  readonly length?: number | undefined;
  readonly names: boolean;
  readonly place: (from: number, to: number) => Placed;
}

export type Format = (value: number) => string;

export interface NumberAxisOptions {
  readonly title?: string;
  readonly format?: Format;
  /** Ends of the axis; else it is as long as its values, with round ends. */
  readonly domain?: readonly [number, number];
  /** 0 is on it. */
  readonly zero?: boolean;
  /** Whole numbers: epochs, layers. They begin and end at the values. */
  readonly whole?: boolean;
  /** Beyond the values of an axis of whole numbers, in its unit. */
  readonly room?: number;
  /** Pixels from one number to the next, about. */
  readonly distance?: number;
}

export function numberAxis(
  values: readonly number[],
  { title, format, domain, zero = false, whole = false, room = 0, distance = 56 }: NumberAxisOptions = {},
): Axis {
  const [low, high] = domain ?? extent(zero ? [0, ...values] : values, whole);
  const ends = [low - room, high + room];
  return {
    title,
    names: false,
    place(from, to) {
      const count = Math.max(2, Math.floor(Math.abs(to - from) / distance));
      const scale = scaleLinear(ends, [from, to]);
      if (domain === undefined && !whole) scale.nice(count);
      const all = scale.ticks(count);
      const shown = whole ? all.filter(Number.isInteger) : all;
      const label = format ?? (whole ? String : scale.tickFormat(count));
      return {
        at: (value) => scale(value),
        from,
        to,
        band: 0,
        ticks: shown.map((value) => ({ value, label: label(value) })),
      };
    },
  };
}

/** Of values that are all the same, room around them: an axis of no length has no numbers. */
function extent(values: readonly number[], whole: boolean): [low: number, high: number] {
  const known = values.filter(Number.isFinite);
  const low = known.reduce((least, value) => Math.min(least, value), Infinity);
  const high = known.reduce((most, value) => Math.max(most, value), -Infinity);
  if (low > high) return [0, 1];
  // differences that are rounding are none
  if (high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high))) return [low, high];
  const room = whole ? 0.5 : Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

export interface LogAxisOptions {
  readonly title?: string;
  readonly format?: Format;
  /** Where numbers are written; else at round ones. */
  readonly ticks?: readonly number[];
  /** Factor of room at both ends. */
  readonly room?: number;
}

/** Values above 0. */
export function logAxis(
  values: readonly number[],
  { title, format = plainNumber, ticks, room }: LogAxisOptions = {},
): Axis {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const factor = room ?? Math.max(1.2, (high / low) ** 0.12);
  const ends: [number, number] = [low / factor, high * factor];
  return {
    title,
    names: false,
    place(from, to) {
      const scale = scaleLog(ends, [from, to]);
      const shown = ticks ?? logTicks(ends);
      return {
        at: (value) => scale(value),
        from,
        to,
        band: 0,
        ticks: shown.map((value) => ({ value, label: format(value) })),
      };
    },
  };
}

/** Times the powers of ten, from coarse to fine. */
const STEPS = [
  [1, 2, 5],
  [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9],
  [1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5],
] as const;

/** 1, 2 and 5 times the powers of ten in a domain; of a wide one the powers alone, of a narrow one more than these. */
export function logTicks([low, high]: readonly [number, number]): number[] {
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => 10 ** (first + i));
  const ticksAt = (steps: readonly number[]): number[] =>
    powers.flatMap((power) => steps.map((step) => step * power)).filter((x) => x >= low && x <= high);
  if (high / low > 2000) return ticksAt([1]);
  const [coarse, fine, finest] = STEPS;
  return [coarse, fine].map(ticksAt).find((ticks) => ticks.length >= 3) ?? ticksAt(finest);
}

/** A name for each band of `step` pixels. */
export function nameAxis(
  names: readonly string[],
  { title, step }: { title?: string; step?: number } = {},
): Axis {
  return {
    title,
    names: true,
    length: step === undefined ? undefined : step * names.length,
    place(from, to) {
      // by number: two classes may have one name
      const scale = scaleBand<number>([...names.keys()], [from, to]);
      const band = scale.bandwidth();
      return {
        at: (value) => (scale(value) ?? from) + band / 2,
        from,
        to,
        band,
        ticks: names.map((label, value) => ({ value, label })),
      };
    },
  };
}

export const percentLabel: Format = (share) => `${Number((100 * share).toFixed(1))} %`;
export const plainNumber: Format = (value) => Number(value.toPrecision(6)).toLocaleString("en-US");
/** `3e-4`, and `0` as it is. */
export const scientific: Format = (value) =>
  value === 0 ? "0" : Number(value.toPrecision(6)).toExponential().replace("e+", "e");
