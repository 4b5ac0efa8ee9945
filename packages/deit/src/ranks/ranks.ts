/**
 * Several processes that train one model, as the loop sees them. All calls but `name` are collective: every rank makes the
 * same ones in the same order. Knows no MPI and no Node; mpi-ranks.ts is the implementation.
 */
import { ConfigError, DeitError } from "../errors.ts";

/** Numbers that ranks exchange in place. */
export type Numbers = Float32Array | Float64Array;

/** Values that JSON gives back as they were. */
export type Message =
  | string
  | number
  | boolean
  | null
  | readonly Message[]
  | { readonly [key: string]: Message };

export interface WaitOptions {
  /** Times the --rank-timeout that the others may take: for work that one rank does alone. Default 1. */
  readonly patience?: number;
}

export interface Ranks {
  readonly rank: number;
  readonly size: number;
  /** `rank 1 (host, process 123)`. */
  name(rank: number): string;
  /** Sums each vector over all ranks, in place. All ranks get the same bits. */
  sum(vectors: readonly Numbers[], options?: WaitOptions): Promise<void>;
  /** Replaces each vector by that of rank 0, bit for bit. */
  spread(vectors: readonly Numbers[], options?: WaitOptions): Promise<void>;
  /** A value of every rank, by rank. */
  gather(value: Message, options?: WaitOptions): Promise<Message[]>;
  /** Waits until every rank is here. */
  meet(options?: WaitOptions): Promise<void>;
  /** Notes that every rank throws this error at the same place: then no rank need be ended by another. */
  shared<E>(error: E): E;
  isShared(error: unknown): boolean;
}

/** Of `count` vectors [length] each rank has every W-th from its own number on: all of them, in order. */
export async function gatherParts(
  ranks: Ranks,
  own: readonly Float64Array[],
  { count, length }: { count: number; length: number },
): Promise<Float64Array[]> {
  const all = new Float64Array(count * length);
  for (const [i, part] of own.entries()) all.set(part, (ranks.rank + i * ranks.size) * length);
  await ranks.sum([all]); // zeros but in one place: exact
  return Array.from({ length: count }, (_, i) => all.subarray(i * length, (i + 1) * length));
}

/** What rank 0 alone finds, given to all; an error of it is thrown by all. */
export async function fromFirst<T>(ranks: Ranks | undefined, find: () => Promise<T>): Promise<T> {
  if (ranks === undefined) return find();
  const found = ranks.rank === 0 ? await find().then(ok, failed) : undefined;
  const message = found?.isFailure
    ? { error: describe(found.error), isUsage: found.error instanceof ConfigError }
    : { value: (found?.value ?? null) as Message };
  const [first] = await ranks.gather(ranks.rank === 0 ? message : null, { patience: Infinity });
  if (found?.isFailure) throw ranks.shared(found.error);
  if (found !== undefined) return found.value;
  const { error, isUsage, value } = first as { error?: string; isUsage?: boolean; value?: T };
  if (error !== undefined) {
    const details = { code: "ranks/failed" } as const;
    throw ranks.shared(isUsage ? new ConfigError("", error, details) : new DeitError(error, details));
  }
  return value as T;
}

function ok<T>(value: T): { isFailure: false; value: T } {
  return { isFailure: false, value };
}

function failed(error: unknown): { isFailure: true; error: unknown; value?: undefined } {
  return { isFailure: true, error };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
