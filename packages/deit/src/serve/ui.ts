/** `deit ui`: the page, and runs as they go, on this machine alone. */
import { createHash } from "node:crypto";
import { DeitError } from "../errors.ts";
import { readRun } from "../training/run/run-folder.ts";
import { createHttp } from "./http.ts";
import { addPageFiles } from "./page-files.ts";
import { RUNS_SCRIPT, runsPage, runsView } from "./runs-view.ts";
import { runNames, runStamp, watchRun } from "./watched-run.ts";

export interface UiOptions {
  /** The folder of the built page; undefined: runs alone. */
  readonly page?: string | undefined;
  /** Folders of runs: no others are read. */
  readonly runs: readonly string[];
  /** 0: any that is free. */
  readonly port: number;
  /** With the headers of cross-origin isolation; default true. */
  readonly isolated?: boolean | undefined;
  readonly onFault?: ((error: unknown, request: string) => void) | undefined;
}

export interface UiServer extends AsyncDisposable {
  /** `http://localhost:4173/` */
  readonly url: string;
  /** Of the runs, where there are any. */
  readonly runsUrl: string | undefined;
}

/** What the server takes of a request: it is asked for files, never sent any. */
const [MAX_BYTES, TIMEOUT] = [1000, 30];

/** @throws DeitError for a folder that is not a run; ConfigError for a port that is taken */
export async function startUi({
  page,
  runs,
  port,
  isolated,
  onFault = () => {},
}: UiOptions): Promise<UiServer> {
  for (const run of runs) await readRun(run);
  const http = await createHttp({
    host: "127.0.0.1",
    port,
    token: undefined,
    allowHosts: [],
    allowOrigins: [],
    maxBytes: MAX_BYTES,
    timeout: TIMEOUT,
    log: false,
    onFault,
  });
  const { app } = http;
  if (runs.length > 0) {
    const names = runNames(runs);
    let drawn = { stamp: "", text: "" };
    app.get("/runs", async (_request, reply) => reply.type("text/html; charset=utf-8").send(runsPage()));
    app.get("/runs/view.js", async (_request, reply) =>
      reply.type("text/javascript; charset=utf-8").send(RUNS_SCRIPT),
    );
    app.get("/runs/view", async (request, reply) => {
      // Once a second at most, whoever asks.
      const stamp = [Math.floor(Date.now() / 1000), ...(await Promise.all(runs.map(runStamp)))].join(";");
      if (stamp !== drawn.stamp) {
        const found = await Promise.all(runs.map(async (run, i) => watchRun(run, names[i])));
        drawn = { stamp, text: runsView(found) };
      }
      const tag = `"${createHash("sha256").update(drawn.text).digest("base64url").slice(0, 22)}"`;
      void reply.headers({ etag: tag, "cache-control": "no-store" });
      if (request.headers["if-none-match"] === tag) return reply.code(304).send();
      return reply.type("text/html; charset=utf-8").send(drawn.text);
    });
  }
  if (page !== undefined) addPageFiles(app, page, { isolated: isolated ?? true });
  else if (runs.length > 0) app.get("/", async (_request, reply) => reply.redirect("/runs"));
  else throw new DeitError("there is nothing to show", { code: "serve/no-page" });
  const base = await http.listen();
  return {
    url: `${base}/`,
    runsUrl: runs.length > 0 ? `${base}/runs` : undefined,
    async [Symbol.asyncDispose]() {
      await http.stop();
    },
  };
}
