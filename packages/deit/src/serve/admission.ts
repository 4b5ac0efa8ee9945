/**
 * How many requests are worked on: from the first byte to the answer each has a place, and where there is none it is refused at
 * once, before its image is received. The images that are held are bounded with them.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { DeitError } from "../errors.ts";

export interface AdmissionOptions {
  readonly maxQueue: number;
  readonly maxBytes: number;
  /** Seconds. */
  readonly timeout: number;
}

/** A request that has a place. */
export interface Admitted {
  /** Aborted when its time is over or its client has gone. */
  readonly signal: AbortSignal;
}

export interface Admission {
  /** Gives a place, which is free again when the answer is sent. @throws DeitError when there is none */
  admit(request: FastifyRequest, reply: FastifyReply): void;
  of(request: FastifyRequest): Admitted;
  readonly accepted: number;
}

/** Bytes of images that are held at a time, whatever the number of requests; one image always may. */
const MOST_HELD = 2 ** 29;

/** Aborts work for a client that has gone; nobody reads it. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

export function createAdmission({ maxQueue, maxBytes, timeout }: AdmissionOptions): Admission {
  const admitted = new WeakMap<FastifyRequest, Admitted>();
  let accepted = 0;
  let held = 0;
  return {
    get accepted() {
      return accepted;
    },
    admit(request, reply) {
      const said = Number(request.headers["content-length"]);
      const size = Math.min(Number.isSafeInteger(said) ? said : maxBytes, 2 * maxBytes);
      if (accepted >= maxQueue || (accepted > 0 && held + size > MOST_HELD)) {
        // What is being sent is not read, so the connection cannot be used again.
        if (size > 0) void reply.header("connection", "close");
        throw new DeitError(`the server is busy: ${accepted} requests are in progress already`, {
          code: "serve/busy",
          hint: "Try again after the seconds of Retry-After.",
        });
      }
      const controller = new AbortController();
      const timer = setTimeout(
        () =>
          controller.abort(
            new DeitError(`no response within ${timeout} s`, {
              code: "serve/timeout",
              hint: "The server is busy, or the image is very large. Try again, or send a smaller one.",
            }),
          ),
        timeout * 1000,
      );
      accepted++;
      held += size;
      admitted.set(request, { signal: controller.signal });
      reply.raw.once("close", () => {
        clearTimeout(timer);
        accepted--;
        held -= size;
        if (!reply.raw.writableFinished) controller.abort(new ClientGone("the client has gone"));
      });
    },
    of(request) {
      const own = admitted.get(request);
      if (own === undefined) throw new Error("a request without a place");
      return own;
    },
  };
}
