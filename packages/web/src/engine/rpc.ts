/** Calls to a worker's functions as promises, and its events. Errors come back with the code and the words of the project. */

/** What a worker offers: functions whose arguments and results can be cloned. */
// oxlint-disable-next-line typescript/no-explicit-any -- any signature
export type Api = Record<string, (...args: any[]) => unknown>;

type Called = { readonly id: number; readonly name: string; readonly args: readonly unknown[] };
type Answered =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly message: string; readonly code?: string } }
  | { readonly event: unknown };

/** The functions of `A` as they are called from outside. */
export type Remote<A extends Api> = {
  readonly [K in keyof A]: (...args: Parameters<A[K]>) => Promise<Awaited<ReturnType<A[K]>>>;
};

/** An error of a worker. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: string | undefined;
  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

/** A result whose buffers are handed over instead of being copied. */
export class Transfer<T> {
  readonly value: T;
  readonly list: Transferable[];
  constructor(value: T, list: Transferable[]) {
    this.value = value;
    this.list = list;
  }
}

/** Answers calls in a worker. Returns the way to send events. */
export function expose(api: Api): (event: unknown) => void {
  const post = (message: Answered, transfer: Transferable[] = []): void =>
    globalThis.postMessage(message, { transfer });
  globalThis.addEventListener("message", ({ data }: MessageEvent<Called>) => {
    const { id, name, args } = data;
    void (async () => {
      try {
        const result = await api[name]?.(...args);
        if (result instanceof Transfer) post({ id, value: result.value }, result.list);
        else post({ id, value: result });
      } catch (error) {
        const { message, code } = error as Error & { code?: string };
        post({ id, error: { message: message ?? String(error), ...(typeof code === "string" && { code }) } });
      }
    })();
  });
  return (event) => post({ event });
}

export interface Connection<A extends Api, E> {
  readonly call: Remote<A>;
  onEvent(listener: (event: E) => void): void;
  /** Ends the worker; calls that wait are rejected. */
  close(): void;
}

/** Calls the functions that a worker exposes. */
export function connectWorker<A extends Api, E>(worker: Worker): Connection<A, E> {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const listeners: ((event: E) => void)[] = [];
  let last = 0;
  const fail = (message: string): void => {
    for (const { reject } of waiting.values()) reject(new EngineError(message, "page/worker-ended"));
    waiting.clear();
  };
  worker.addEventListener("message", ({ data }: MessageEvent<Answered>) => {
    if ("event" in data) return listeners.forEach((listener) => listener(data.event as E));
    const call = waiting.get(data.id);
    waiting.delete(data.id);
    if ("error" in data) call?.reject(new EngineError(data.error.message, data.error.code));
    else call?.resolve(data.value);
  });
  worker.addEventListener("error", (event) => fail(event.message || "a worker could not be started"));
  const call = new Proxy({} as Remote<A>, {
    get: (_, name: string) =>
      async function send(...args: unknown[]): Promise<unknown> {
        const id = ++last;
        return new Promise((resolve, reject) => {
          waiting.set(id, { resolve, reject });
          const buffers = args.filter((arg) => arg instanceof ArrayBuffer);
          worker.postMessage({ id, name, args } satisfies Called, { transfer: buffers });
        });
      },
  });
  return {
    call,
    onEvent: (listener) => void listeners.push(listener),
    close() {
      worker.terminate();
      fail("it was closed");
    },
  };
}
