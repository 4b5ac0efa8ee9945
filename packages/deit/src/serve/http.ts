/** The HTTP server under `deit serve` and `deit ui`: who may ask, errors as JSON, one log line a request, a graceful stop. */
import cors from "@fastify/cors";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Fastify, { LogController } from "fastify";
import { ConfigError, DeitError } from "../errors.ts";
import type { GuardOptions } from "./guard.ts";
import { createGuard, isLoopback } from "./guard.ts";
import { problemOf } from "./problems.ts";

export interface HttpOptions extends GuardOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Bytes of the largest image. */
  readonly maxBytes: number;
  /** Seconds until a request that was not received or answered is given up. */
  readonly timeout: number;
  /** A JSON line for each request on standard output, as fastify writes them. */
  readonly log: boolean;
  /** What went wrong inside: for the log, not for who asked. */
  readonly onFault: (error: unknown, request: string) => void;
}

export interface HttpServer {
  readonly app: FastifyInstance;
  /** Whether a stop was begun: new requests are refused. */
  readonly isStopping: boolean;
  /** Listens. @throws ConfigError for a port that is taken or forbidden */
  listen(): Promise<string>;
  /** Refuses new requests, and waits for those that were accepted. */
  stop(): Promise<void>;
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Answered without a token: what a load balancer asks. */
    isOpen?: boolean;
  }
}

const HEADERS = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" } as const;

export async function createHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, maxBytes, timeout, log, allowOrigins, onFault } = options;
  const guard = createGuard(options);
  let isStopping = false;

  const app = Fastify({
    logger: log
      ? { level: "info", base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` }
      : false,
    logController: new LogController({ disableRequestLogging: true }), // one line, below
    bodyLimit: maxBytes,
    requestTimeout: timeout * 1000,
    forceCloseConnections: "idle",
    return503OnClosing: false, // below, with words
    exposeHeadRoutes: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
    clientErrorHandler(error, socket) {
      if (error.code === "ECONNRESET" || socket.destroyed) return;
      const isSlow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
      const status = isSlow ? "408 Request Timeout" : "400 Bad Request";
      const code = isSlow ? "serve/slow-request" : "serve/request";
      const words = isSlow ? `the request did not come within ${timeout} s` : "the request is not HTTP";
      const body = `${JSON.stringify({ error: words, code })}\n`;
      socket.end(
        `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
    },
  });

  await app.register(cors, {
    origin: [...allowOrigins],
    methods: ["GET", "POST"],
    allowedHeaders: ["authorization", "content-type"],
    exposedHeaders: ["x-model", "x-model-version", "retry-after"],
    maxAge: 600,
    hook: "onRequest",
    strictPreflight: false,
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(HEADERS);
    const { host: asked, origin, authorization } = request.headers;
    const isOpen = request.routeOptions.config.isOpen === true;
    if (isStopping && !isOpen)
      throw new DeitError("the server is being stopped", {
        code: "serve/stopping",
        hint: "Try again: another may be in its place soon.",
      });
    guard.check({ host: asked, origin, authorization }, { isOpen });
  });
  app.setErrorHandler(async (error: FastifyError | Error, request, reply) => {
    const { status, body, retryAfter } = problemOf(error, { maxBytes });
    if (status === 500) onFault(error, `${request.method} ${pathOf(request)}`);
    if (retryAfter !== undefined) void reply.header("retry-after", retryAfter);
    if (status === 401) void reply.header("www-authenticate", "Bearer");
    // What is still being sent is not read.
    if (status === 413) void reply.header("connection", "close");
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler(async (request) => {
    const path = pathOf(request);
    const others = (["GET", "POST"] as const).filter(
      (method) => app.findRoute({ method, url: path }) !== null,
    );
    if (others.length > 0) throw wrongMethod(request, others);
    throw new DeitError(`there is nothing at ${request.method} ${path}`, {
      code: "serve/unknown-path",
      hint: "GET /openapi.json lists all addresses.",
    });
  });
  if (log)
    app.addHook("onResponse", async (request, reply) => {
      request.log.info(logLine(request, reply));
    });

  return {
    app,
    get isStopping() {
      return isStopping;
    },
    async listen() {
      try {
        await app.listen({ host, port });
      } catch (error) {
        throw listenError(error, { host, port });
      }
      const address = app.server.address();
      const used = typeof address === "object" && address !== null ? address.port : port;
      const name = isLoopback(host) ? "localhost" : host.includes(":") ? `[${host}]` : host;
      return `http://${name}:${used}`;
    },
    async stop() {
      isStopping = true;
      await app.close();
    },
  };
}

/** The path without what was asked, which may be private. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0]?.slice(0, 200) ?? "/";
}

export function wrongMethod(request: FastifyRequest, methods: readonly string[]): DeitError {
  return new DeitError(`${pathOf(request)} does not take ${request.method}`, {
    code: "serve/method",
    hint: `It takes ${methods.join(", ")}.`,
  });
}

function logLine(request: FastifyRequest, reply: FastifyReply): object {
  return {
    method: request.method,
    path: pathOf(request),
    status: reply.statusCode,
    milliseconds: Number(reply.elapsedTime.toFixed(1)),
    remote: request.ip,
    msg: "answered",
  };
}

function listenError(error: unknown, { host, port }: { host: string; port: number }): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE")
    return new ConfigError("port", `port ${port} of ${host} is taken by another program`, {
      code: "serve/listen",
      hint: "Choose another with --port; 0 takes any that is free.",
    });
  if (code === "EACCES")
    return new ConfigError("port", `port ${port} may not be used by this user`, {
      code: "serve/listen",
      hint: "Choose one from 1024 on with --port.",
    });
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAI_AGAIN")
    return new ConfigError("host", `${host} is not an address of this machine`, {
      code: "serve/listen",
      hint: "Leave out --host for this machine only; 0.0.0.0 is every address that it has.",
    });
  return error;
}
