/**
 * The few error classes of the project. Each message says what was given, what was expected and how to fix
 * it, and each error carries the same facts as data. The command line prints `message` and nothing else.
 */

import type { ErrorCode } from "./error-codes.ts";

/** What every error takes besides its message. */
export interface ErrorDetails {
  /** Stable name of the problem; see error-codes.ts. */
  readonly code: ErrorCode;
  /** One line: what to do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** An error that its reader can act on: bad input, a missing device, a broken file. Never a bug of ours. */
export class DeitError extends Error {
  override readonly name: string = "DeitError";
  /** Stable name of the problem: what programs and tests compare. */
  readonly code: ErrorCode;
  /** One line: what to do about it. */
  readonly hint: string | undefined;
  constructor(message: string, { code, hint, cause }: ErrorDetails) {
    super(
      hint === undefined ? bounded(message) : `${bounded(message)}\n${bounded(hint)}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.hint = hint;
  }
}

/** Names in a message may be of any length; what a reader needs stands at its ends. */
const LONGEST_MESSAGE = 4000;

function bounded(message: string): string {
  const more = message.length - LONGEST_MESSAGE;
  if (more <= 0) return message;
  const half = LONGEST_MESSAGE / 2;
  return `${message.slice(0, half)} … (${more} characters left out) … ${message.slice(-half)}`;
}

/** Shapes that an operation cannot combine. */
export class ShapeError extends DeitError {
  override readonly name = "ShapeError";
  readonly op: string;
  readonly shapes: readonly (readonly number[])[];
  constructor(op: string, shapes: readonly (readonly number[])[], expected: string) {
    super(
      `${op}: got ${shapes.map((shape) => `[${shape.join(", ")}]`).join(" and ")}; expected ${expected}`,
      {
        code: "graph/shape",
      },
    );
    this.op = op;
    this.shapes = shapes;
  }
}

/** A bad option, flag, recipe or config value; `path` is the option's name (`lr`, `model`). */
export class ConfigError extends DeitError {
  override readonly name = "ConfigError";
  readonly path: string;
  constructor(path: string, message: string, options: ErrorDetails) {
    super(message, options);
    this.path = path;
  }
}

/** Tensors of a checkpoint that do not fit the model. */
export class CheckpointError extends DeitError {
  override readonly name = "CheckpointError";
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  constructor(
    message: string,
    {
      missing = [],
      unexpected = [],
      ...options
    }: { missing?: readonly string[]; unexpected?: readonly string[] } & ErrorDetails,
  ) {
    super(message, options);
    this.missing = missing;
    this.unexpected = unexpected;
  }
}

/** A file that is not what its format says: truncated, corrupt or hostile. */
export class FormatError extends DeitError {
  override readonly name = "FormatError";
  readonly file: string;
  readonly offset: number | undefined;
  constructor(file: string, message: string, { offset, ...options }: { offset?: number } & ErrorDetails) {
    super(`${file}: ${message}${offset === undefined ? "" : ` (at byte ${offset})`}`, options);
    this.file = file;
    this.offset = offset;
  }
}

/** A dataset or an image that cannot be used; `path` is the folder or file. */
export class DataError extends DeitError {
  override readonly name = "DataError";
  readonly path: string;
  constructor(path: string, message: string, options: ErrorDetails) {
    super(message, options);
    this.path = path;
  }
}

/** A device that is not there, or that cannot run a program. */
export class DeviceError extends DeitError {
  override readonly name = "DeviceError";
  readonly device: string;
  /** Whether its memory was not enough, and so nothing was changed: less of something would do. */
  readonly outOfMemory: boolean;
  constructor(
    device: string,
    message: string,
    { outOfMemory = false, ...options }: { outOfMemory?: boolean } & ErrorDetails,
  ) {
    super(message, options);
    this.device = device;
    this.outOfMemory = outOfMemory;
  }
}

/** What an error says before its hint and details, for a list or the middle of a sentence. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0] ?? message;
}
