/** Errors as answers: a status, words, and the stable code; never a stack trace. */
import type { ErrorCode } from "../error-codes.ts";
import { DeitError } from "../errors.ts";

/** The body of every answer that is an error. Clients of Hugging Face's service read `error`. */
export interface Problem {
  readonly error: string;
  readonly code: ErrorCode;
  readonly hint?: string;
}

export interface ProblemAnswer {
  readonly status: number;
  readonly body: Problem;
  /** Seconds after which the same may be tried again. */
  readonly retryAfter?: number;
}

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  "serve/request": 400,
  "data/broken-image": 400,
  "image/argument": 400,
  "serve/token": 401,
  "serve/host": 403,
  "serve/origin": 403,
  "serve/loopback-only": 403,
  "serve/unknown-model": 404,
  "serve/unknown-path": 404,
  "serve/method": 405,
  "serve/slow-request": 408,
  "serve/too-large": 413,
  "data/image-too-large": 413,
  "data/heic": 415,
  "serve/media-type": 415,
  "serve/busy": 503,
  "serve/loading": 503,
  "serve/stopping": 503,
  "serve/timeout": 503,
};

/** Codes of what passes by itself. */
const RETRY: ReadonlySet<string> = new Set([
  "serve/busy",
  "serve/loading",
  "serve/stopping",
  "serve/timeout",
]);
const RETRY_SECONDS = 1;

/** Fastify's own errors, and those of its parsers. */
const LIBRARY: Readonly<Record<string, readonly [code: ErrorCode, words: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ["serve/too-large", "the request is too large"],
  FST_REQ_FILE_TOO_LARGE: ["serve/too-large", "the image is too large"],
  FST_FILES_LIMIT: ["serve/request", "the form has more than one file"],
  FST_FIELDS_LIMIT: ["serve/request", "the form has too many fields"],
  FST_PARTS_LIMIT: ["serve/request", "the form has too many parts"],
  FST_PROTO_VIOLATION: ["serve/request", "the form has a field of a forbidden name"],
  FST_INVALID_MULTIPART_CONTENT_TYPE: ["serve/media-type", "the request is not a form"],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["serve/media-type", "the content type is not supported"],
  FST_ERR_CTP_EMPTY_TYPE: ["serve/media-type", "the content type is empty"],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    "serve/request",
    "the request's length differs from its Content-Length",
  ],
  FST_ERR_CTP_EMPTY_JSON_BODY: ["serve/request", "the request is empty"],
  FST_ERR_CTP_INVALID_JSON_BODY: ["serve/request", "the request is not JSON"],
};

/** `maxBytes`: the largest image, for the words. */
export function problemOf(error: unknown, { maxBytes }: { readonly maxBytes: number }): ProblemAnswer {
  const known = error instanceof DeitError ? error : fromLibrary(error, maxBytes);
  if (known === undefined)
    return { status: 500, body: { error: "the server failed; see its log", code: "internal" } };
  const { code, hint } = known;
  const message =
    hint !== undefined && known.message.endsWith(`\n${hint}`)
      ? known.message.slice(0, -hint.length - 1)
      : known.message;
  const status = STATUS[code] ?? 500;
  // What is wrong with a model or a device is the operator's, and may name files.
  if (status === 500) return { status, body: { error: "the model failed; see the server's log", code } };
  const body = { error: message, code, ...(hint !== undefined && { hint }) };
  return { status, body, ...(RETRY.has(code) && { retryAfter: RETRY_SECONDS }) };
}

function fromLibrary(error: unknown, maxBytes: number): DeitError | undefined {
  if (!(error instanceof Error)) return undefined;
  const [code, words] = LIBRARY["code" in error ? String(error.code) : ""] ?? [];
  if (code !== undefined && words !== undefined)
    return new DeitError(words, { code, hint: HINTS[code]?.(maxBytes) });
  const status = "statusCode" in error ? Number(error.statusCode) : 500;
  // Other faults of a request that the HTTP library found: their words name no code of ours.
  return status >= 400 && status < 500
    ? new DeitError("the request cannot be read", {
        code: "serve/request",
        hint: HINTS["serve/request"]?.(maxBytes),
      })
    : undefined;
}

export const HINTS: Readonly<Partial<Record<ErrorCode, (maxBytes: number) => string>>> = {
  "serve/too-large": (maxBytes) => `Expected an image of at most ${maxBytes} bytes (--max-bytes).`,
  "serve/media-type": () =>
    "Send the bytes of an image (Content-Type: image/jpeg or application/octet-stream), a form (multipart/form-data) or JSON.",
  "serve/request": () =>
    'Send the bytes of an image, a form with a file, or JSON: {"inputs": "BASE64", "parameters": {"top_k": 5}}.',
};
