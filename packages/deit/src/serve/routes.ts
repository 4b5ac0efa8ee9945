/** What `deit serve` answers: classification, what models there are, and how the server is. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { DeitError } from "../errors.ts";
import type { Admission } from "./admission.ts";
import { answerOf, readClassifyRequest } from "./classify-request.ts";
import { isLoopback } from "./guard.ts";
import { wrongMethod } from "./http.ts";
import { openApiDocument } from "./openapi.ts";
import type { PreparationPool } from "./preparation.ts";
import type { ServedModel } from "./served-model.ts";
import type { ServerMetrics } from "./server-metrics.ts";

export interface RoutesOptions {
  readonly models: readonly ServedModel[];
  readonly pool: PreparationPool;
  readonly admission: Admission;
  readonly metrics: ServerMetrics;
  readonly hasToken: boolean;
  readonly maxBytes: number;
  readonly isReady: () => boolean;
}

type ModelParams = { name?: string; version?: string };

export function addRoutes(app: FastifyInstance, options: RoutesOptions): void {
  const { models, pool, admission, metrics, hasToken, maxBytes, isReady } = options;

  const find = ({ name, version }: ModelParams): ServedModel => {
    const asked = name ?? models[0]?.name;
    const named = models.filter((model) => model.name === asked);
    const found =
      version === undefined
        ? named.toSorted((a, b) => b.version - a.version)[0]
        : named.find((model) => String(model.version) === version);
    if (found !== undefined) return found;
    const all = [...new Set(models.map((model) => model.name))].join(", ");
    const versions = named.map((model) => model.version).join(", ");
    throw new DeitError(
      named.length === 0 ? `there is no model ${name}` : `there is no version ${version} of ${name}`,
      {
        code: "serve/unknown-model",
        hint: named.length === 0 ? `There is: ${all}.` : `There is: ${versions}.`,
      },
    );
  };

  const classify = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const model = find(request.params as ModelParams);
    const { bytes, parameters } = await readClassifyRequest(request);
    const { signal } = admission.of(request);
    return model.use(async ({ classifier, transform, batcher }) => {
      const pixels = await pool.prepare(bytes, transform, signal);
      const logits = await batcher.ask(pixels, signal);
      void reply.headers({ "x-model": model.name, "x-model-version": model.version });
      return answerOf(logits, classifier.labels, parameters);
    });
  };
  // Before the body is read: what there is no room for is not received.
  const onRequest = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    find(request.params as ModelParams);
    admission.admit(request, reply);
  };
  for (const url of ["/", "/models/:name", "/models/:name/versions/:version"])
    app.post(url, { onRequest }, classify);

  const describe = (request: FastifyRequest): object => detailsOf(find(request.params as ModelParams));
  app.get("/models", async () => ({ models: models.map(summaryOf) }));
  app.get("/models/:name", async (request) => describe(request));
  app.get("/models/:name/versions/:version", async (request) => describe(request));

  const reload = async (request: FastifyRequest): Promise<object> => {
    if (!hasToken && !isLoopback(request.ip.replace(/^::ffff:/, "")))
      throw new DeitError("models can be reloaded only from the server's own machine", {
        code: "serve/loopback-only",
        hint: "Start the server with a token to reload from elsewhere.",
      });
    const model = find(request.params as ModelParams);
    await model.reload();
    return detailsOf(model);
  };
  for (const url of ["/models/:name/reload", "/models/:name/versions/:version/reload"]) app.post(url, reload);

  app.get("/", async (request) => {
    if (request.method === "GET") throw wrongMethod(request, ["POST"]);
    return "";
  });
  const isOpen = { config: { isOpen: true } };
  app.get("/healthz", isOpen, async () => ({ status: "ok" }));
  app.get("/readyz", isOpen, async (_request, reply) => {
    const isGood = isReady() && models.every(({ current }) => current !== undefined);
    if (!isGood) void reply.code(503).header("retry-after", 1);
    return { status: isGood ? "ready" : "not ready" };
  });
  app.get("/metrics", async (_request, reply) => {
    void reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  const document = openApiDocument({ models, hasToken, maxBytes });
  app.get("/openapi.json", async () => document);
}

function summaryOf({ name, version, current, problem }: ServedModel): object {
  const ofModel = current && {
    model: current.classifier.name,
    classes: current.classifier.numClasses,
    inputSize: current.classifier.inputSize,
    loaded: current.loaded.toISOString(),
  };
  return {
    name,
    version,
    state: current === undefined ? "loading" : "ready",
    ...ofModel,
    ...(problem !== undefined && {
      problem: "its newest file could not be loaded; the server's log says why",
    }),
  };
}

function detailsOf(model: ServedModel): object {
  return { ...summaryOf(model), labels: model.current?.classifier.labels ?? [] };
}
