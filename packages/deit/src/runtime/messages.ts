/**
 * What a runtime and the worker that holds its sessions say to each other. Requests are answered in the order in
 * which they were sent, except `close`, which overtakes the queue. Everything here survives structured cloning.
 */

import type { ErrorCode } from "../error-codes.ts";
import { DeitError, DeviceError } from "../errors.ts";
import type { Program, Target } from "../graph/program.ts";
import type { DeviceName, TensorData } from "./runtime.ts";

/** How sessions are made; sent once, first. */
export interface SessionSettings {
  readonly device: DeviceName;
  readonly threads: number;
  readonly profile: string | undefined;
}

export interface RunRequest {
  readonly type: "run";
  readonly handle: number;
  readonly feeds: Readonly<Record<string, TensorData>>;
  /** Runs that are not to be done after one of them failed. */
  readonly group?: number | undefined;
}

export type Request =
  | { readonly type: "open"; readonly settings: SessionSettings }
  | { readonly type: "load"; readonly handle: number; readonly program: Program }
  | RunRequest
  | { readonly type: "release"; readonly handle: number }
  | { readonly type: "setState"; readonly name: string; readonly value: Float32Array }
  | { readonly type: "getState"; readonly name: string }
  | { readonly type: "deleteState"; readonly name: string }
  | { readonly type: "close" };

/** What each request is answered with. */
export interface Results {
  open: Target | undefined;
  load: undefined;
  run: Record<string, TensorData>;
  release: string | undefined;
  setState: undefined;
  getState: Float32Array;
  deleteState: undefined;
  close: readonly string[];
}
export type Result = Results[keyof Results];

export interface Envelope {
  readonly id: number;
  readonly request: Request;
}

export type Answer =
  | { readonly id: number; readonly value: Result }
  | { readonly id: number; readonly error: WireError };

/** A DeitError in transit. */
export interface WireError {
  readonly device: string | undefined;
  readonly message: string;
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly outOfMemory: boolean;
}

export function packError(error: unknown): WireError {
  if (!(error instanceof Error))
    return {
      device: undefined,
      message: String(error),
      code: "internal",
      hint: undefined,
      outOfMemory: false,
    };
  const hint = error instanceof DeitError ? error.hint : undefined;
  return {
    device: error instanceof DeviceError ? error.device : undefined,
    message: hint === undefined ? error.message : error.message.slice(0, -hint.length - 1),
    code: error instanceof DeitError ? error.code : "internal",
    hint,
    outOfMemory: error instanceof DeviceError && error.outOfMemory,
  };
}

export function unpackError({ device, message, outOfMemory, ...options }: WireError): DeitError {
  return device === undefined
    ? new DeitError(message, options)
    : new DeviceError(device, message, { ...options, outOfMemory });
}

/** A copy that can be handed over without its owner losing anything: views and shared memory become plain arrays. */
export function detachedCopy<T extends TensorData | Uint8Array>(data: T): T {
  return data.slice() as T;
}

/** The buffers to transfer with a message that carries these arrays. */
export function buffersOf(arrays: Iterable<TensorData>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { buffer } of arrays) if (buffer instanceof ArrayBuffer) buffers.add(buffer);
  return [...buffers];
}

/** Frees the memory of an array that its owner needs no more: the collector, which nothing makes run, may keep it for long. */
export function letGo({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
