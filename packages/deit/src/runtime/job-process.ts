/**
 * Work in a process of its own: its memory is its own, it can be stopped, and when the system kills it the others live.
 * A module calls `serveJob`, the parent `runJob` with that module's address. Jobs, messages and results are JSON. Node only.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DeitError } from "../errors.ts";
import type { WireError } from "./messages.ts";
import { packError, unpackError } from "./messages.ts";

type FromChild =
  | { readonly type: "message"; readonly message: unknown }
  | { readonly type: "result"; readonly result: unknown }
  /** One that its user can mend; `kind` is the name of its class. */
  | { readonly type: "error"; readonly kind: string; readonly error: WireError }
  | { readonly type: "bug"; readonly message: string };
type FromParent =
  | { readonly type: "job"; readonly job: unknown }
  /** The user wants it to end; what can be saved should be. */
  | { readonly type: "stop" };

/** The process ended without an answer: `signal` is SIGKILL where the system was out of memory. */
export class JobKilledError extends DeitError {
  override readonly name = "JobKilledError";
  readonly signal: string | null;
  constructor(code: number | null, signal: string | null) {
    super(
      `a process ended ${signal === null ? `with code ${code}` : `by ${signal}`} before it had finished`,
      {
        code: "run/process-ended",
        hint:
          signal === "SIGKILL" ? "The machine may have run out of memory." : "Start the same command again.",
      },
    );
    this.signal = signal;
  }
}

/**
 * An error that a job threw and its user can mend; `kind` is the name of its class. Its cause is the error itself where it
 * is a DeviceError, with all that is known of it, and otherwise a DeitError of the same words.
 */
export class JobError extends DeitError {
  override readonly name = "JobError";
  readonly kind: string;
  constructor(kind: string, facts: WireError) {
    super(facts.message, { code: facts.code, hint: facts.hint, cause: unpackError(facts) });
    this.kind = kind;
  }
}

export interface RunJobOptions {
  /** `import.meta.url` of the module that asks, and the name of the one beside it that serves. */
  readonly beside: string;
  readonly module: string;
  readonly job: unknown;
  readonly onMessage?: (message: unknown) => void;
  /** Aborting asks the job to stop; the promise settles when it has. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws JobError as the job did, JobKilledError when it was ended from outside, Error for a bug in it */
export async function runJob(options: RunJobOptions): Promise<unknown> {
  const { beside, module, job, onMessage, signal } = options;
  signal?.throwIfAborted();
  const file = fileURLToPath(new URL(`./${module}${beside.endsWith(".ts") ? ".ts" : ".js"}`, beside));
  // Sources use the sources of the workspace's other packages, and builds their builds.
  const conditions = file.endsWith(".ts") ? ["--conditions=deit-source"] : [];
  const execArgv = ["--expose-gc", ...conditions];
  const child = fork(file, [], { execArgv, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const send = (message: FromParent): void => {
    if (child.connected) child.send(message, () => {}); // a child that has ended is told nothing; its end is reported
  };
  const stop = (): void => send({ type: "stop" });
  signal?.addEventListener("abort", stop);
  try {
    return await new Promise<unknown>((resolve, reject) => {
      child.on("message", (said: FromChild) => {
        if (said.type === "message") onMessage?.(said.message);
        else if (said.type === "result") resolve(said.result);
        else reject(said.type === "error" ? new JobError(said.kind, said.error) : new Error(said.message));
      });
      child.on("error", reject);
      child.on("exit", (code, ended) => reject(new JobKilledError(code, ended)));
      send({ type: "job", job });
    });
  } finally {
    signal?.removeEventListener("abort", stop);
    if (child.connected) child.disconnect();
  }
}

export interface JobContext {
  /** Tells the parent something. */
  readonly tell: (message: unknown) => void;
  /** Aborted when the parent asks for it, and when there is no parent any more. */
  readonly signal: AbortSignal;
}

/** The other side: waits for one job, does it, answers, ends. Ctrl-C and a closed terminal are the parent's, which then asks to stop. */
export function serveJob(work: (job: unknown, context: JobContext) => Promise<unknown>): void {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => {});
  process.stderr.on("error", () => {}); // a terminal or a log that is gone ends no work
  const answer = (message: FromChild): void => {
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  };
  process.on("disconnect", () => controller.abort());
  process.on("message", (said: FromParent) => {
    if (said.type === "stop") return controller.abort();
    const context: JobContext = {
      tell: (message) => answer({ type: "message", message }),
      signal: controller.signal,
    };
    void work(said.job, context)
      .then(
        (result): FromChild => ({ type: "result", result }),
        (error: unknown): FromChild => {
          if (!(error instanceof Error)) return { type: "bug", message: String(error) };
          const isKnown = error instanceof DeitError || error.name === "AbortError";
          if (isKnown) return { type: "error", kind: error.name, error: packError(error) };
          return { type: "bug", message: error.stack ?? error.message };
        },
      )
      .then(answer)
      .finally(() => {
        if (process.connected) process.disconnect();
      });
  });
}
