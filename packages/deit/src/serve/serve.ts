/** `deit serve`: models behind HTTP. Loaded by the command alone, as nothing else needs an HTTP server. */
import { availableParallelism } from "node:os";
import type { DeviceName } from "../runtime/runtime.ts";
import { createRuntime } from "../runtime/node.ts";
import { ClientGone, createAdmission } from "./admission.ts";
import { addBodyParsers } from "./classify-request.ts";
import type { HttpOptions } from "./http.ts";
import { createHttp } from "./http.ts";
import { namedModels } from "./model-names.ts";
import { preparationPool } from "./preparation.ts";
import { addRoutes } from "./routes.ts";
import type { ServedModel } from "./served-model.ts";
import { servedModel } from "./served-model.ts";
import { serverMetrics } from "./server-metrics.ts";

export interface ServeOptions extends Omit<HttpOptions, "onFault"> {
  /** `MODEL`, `NAME=MODEL` or `NAME@VERSION=MODEL`. */
  readonly models: readonly string[];
  readonly weights?: string | null | undefined;
  readonly device?: DeviceName | "auto" | undefined;
  readonly threads?: number | null | undefined;
  /** Threads that decode and resize. */
  readonly workers?: number | null | undefined;
  readonly maxBatch: number;
  /** Requests that are worked on at a time. */
  readonly maxQueue: number;
}

export interface ServeHooks {
  readonly onNote?: ((message: string) => void) | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onFault?: HttpOptions["onFault"] | undefined;
}

export interface ModelServer {
  /** `http://localhost:8000` */
  readonly url: string;
  readonly models: readonly ServedModel[];
  /** Where the models compute, and why there. */
  readonly device: string;
  /** Requests that are being worked on. */
  readonly accepted: number;
  /** Finishes what was accepted, then frees everything. */
  close(): Promise<void>;
}

/** More threads than this prepare no faster. */
const MOST_WORKERS = 8;
/** Between two looks at the models' files. */
const LOOK_MS = 2000;

/**
 * Listens, then loads the models: until they are there /readyz says so and requests are answered with 503.
 * @throws ConfigError for wrong options, what `openClassifier` throws for a model that cannot be loaded
 */
export async function startServer(
  options: ServeOptions,
  { onNote = () => {}, onWarning = () => {}, onFault = () => {} }: ServeHooks = {},
): Promise<ModelServer> {
  const {
    maxBatch,
    maxQueue,
    maxBytes,
    timeout,
    token,
    weights,
    device = "auto",
    threads,
    workers,
  } = options;
  const named = namedModels(options.models);
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const free of closing.splice(0).toReversed()) await free();
  };
  try {
    const admission = createAdmission({ maxQueue, maxBytes, timeout });
    const pool = preparationPool(workers || Math.min(MOST_WORKERS, availableParallelism()));
    closing.push(async () => pool.close());
    const models: ServedModel[] = [];
    const metrics = serverMetrics({
      accepted: () => admission.accepted,
      undecoded: () => pool.waiting,
      uncomputed: () => models.reduce((sum, { current }) => sum + (current?.batcher.waiting ?? 0), 0),
    });
    const http = await createHttp({
      ...options,
      onFault(error, request) {
        if (!(error instanceof ClientGone)) onFault(error, request);
      },
    });
    closing.push(async () => http.stop());
    const { app } = http;
    addBodyParsers(app, { maxBytes });
    app.addHook("onResponse", async (request, reply) => {
      const route = request.routeOptions.url ?? "none";
      metrics.requests.inc({ route, status: reply.statusCode });
      metrics.requestSeconds.observe({ route }, reply.elapsedTime / 1000);
    });
    let isLoaded = false;
    const runtime = await createRuntime({ device, ...(threads && { threads }) });
    closing.unshift(async () => runtime.close()); // last of all
    for (const model of named)
      models.push(servedModel(model, { runtime, maxBatch, weights, metrics, onNote, onWarning }));
    const isReady = (): boolean => isLoaded && !http.isStopping;
    addRoutes(app, { models, pool, admission, metrics, hasToken: token !== undefined, maxBytes, isReady });
    const url = await http.listen();
    for (const model of models) {
      await model.reload();
      closing.splice(1, 0, async () => model.close()); // after the requests that use it
    }
    isLoaded = true;
    const timer = setInterval(() => {
      for (const model of models) void model.look();
    }, LOOK_MS);
    timer.unref();
    closing.push(async () => clearInterval(timer));
    return {
      url,
      models,
      device: runtime.reason,
      get accepted() {
        return admission.accepted;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
