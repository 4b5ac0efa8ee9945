/** `deit serve`: models behind HTTP, for apps. */
import { Option } from "commander";
import type { Command } from "commander";
import type { ErrorCode } from "../../error-codes.ts";
import { DeitError } from "../../errors.ts";
import type { ModelServer } from "../../serve/serve.ts";
import { CHECKPOINT_KINDS, fetchCheckpoint } from "../fetch-checkpoint.ts";
import { withInterrupt } from "../interrupt.ts";
import { coloursFor, createOutput } from "../output.ts";
import { addSchemaFlags, givenOptions } from "../schema-flags.ts";
import { counted, table } from "../views/text-format.ts";
import { wholeNumber } from "../whole-number.ts";

const OPTIONS = ["weights", "device", "threads", "workers"] as const;

interface ServeFlags {
  host: string;
  port: number;
  token?: string;
  allowHost: string[];
  allowOrigin: string[];
  maxBatch: number;
  maxQueue: number;
  maxBytes: number;
  timeout: number;
  log?: true;
}

export function addServeCommand(program: Command): void {
  const count = (flag: string, text: string, value: number, least = 1): Option =>
    new Option(`--${flag} <N>`, text).argParser(wholeNumber(flag, least)).default(value);
  const list = (given: string, before: string[] = []): string[] => [...before, given];
  const command = program
    .command("serve")
    .description("Serve models to apps over HTTP.")
    .argument("<model...>", `${CHECKPOINT_KINDS}; NAME=MODEL or NAME@VERSION=MODEL names it`)
    .addOption(count("port", "port to listen on; 0: any that is free", 8000, 0))
    .addOption(
      new Option("--host <ADDRESS>", "address to listen on; others than this machine's need a token").default(
        "127.0.0.1",
      ),
    )
    .addOption(
      new Option(
        "--token <TOKEN>",
        "refuse requests without Authorization: Bearer TOKEN; better in the environment, where other users do not see it",
      ).env("DEIT_TOKEN"),
    )
    .addOption(
      new Option("--allow-host <NAME>", "also accept this host name, as behind a reverse proxy (repeatable)")
        .argParser(list)
        .default([], "this machine's"),
    )
    .addOption(
      new Option(
        "--allow-origin <URL>",
        "web pages (scheme, host and port) that may send requests from a browser (repeatable)",
      )
        .argParser(list)
        .default([], "none"),
    )
    .addOption(count("max-batch", "largest batch, in images", 16))
    .addOption(count("max-queue", "most requests in progress; more get status 503", 256))
    .addOption(count("max-bytes", "largest image, in bytes", 20_000_000))
    .addOption(count("timeout", "seconds until a request times out", 30))
    .option("--log", "print a JSON line for each request");
  addSchemaFlags(command, OPTIONS, { groups: false, defaults: false });
  command
    .addHelpText(
      "after",
      `
Requests and responses are those of Hugging Face's image-classification task:
send the bytes of an image, a form with a file, or JSON with base64, and get
[{"label": "cat", "score": 0.93}, …]. POST / uses the first model, POST
/models/NAME the named one; GET /openapi.json describes the whole interface.

A model is reloaded when its file changes, without interrupting requests. The
first Ctrl-C or SIGTERM finishes accepted requests, the second ends at once.

Examples:
  deit serve runs/photos-deit_w64d4_patch4_32
  curl --data-binary @cat.jpg localhost:8000
  deit serve flowers=runs/flowers facebook/deit-tiny-patch16-224
  curl -F file=@rose.jpg 'localhost:8000/models/flowers?top_k=3'
  deit serve RUN --host 0.0.0.0 --port 80     with DEIT_TOKEN set`,
    )
    .action(runServe);
}

async function runServe(models: string[], flags: ServeFlags, command: Command): Promise<void> {
  const output = createOutput();
  const { namedModels } = await import("../../serve/model-names.ts");
  for (const { checkpoint } of namedModels(models)) await fetchCheckpoint(checkpoint);
  const { startServer } = await import("../../serve/serve.ts");
  const { allowHost: allowHosts, allowOrigin: allowOrigins, log = false, token, ...rest } = flags;
  const options = {
    ...rest,
    models,
    token,
    allowHosts,
    allowOrigins,
    log,
    ...givenOptions(command, OPTIONS),
  };
  // A device that is gone does not come back: whoever started the server starts it again.
  const { promise: lost, reject: lose } = Promise.withResolvers<never>();
  lost.catch(() => undefined);
  await withInterrupt(
    async (signal) => {
      const server = await startServer(options, {
        onNote: output.note,
        onWarning: output.warn,
        onFault(error, request) {
          output.note(`${coloursFor(process.stderr).red("error:")} ${request}: ${reasonOf(error)}`);
          if (error instanceof DeitError && LOST.has(error.code)) lose(error);
        },
      });
      try {
        output.note(describe(server, options));
        await Promise.race([aborted(signal), lost]);
        const { accepted } = server;
        if (accepted > 0) output.note(`finishing ${counted(accepted, "request")}`);
      } finally {
        await server.close();
      }
      output.note("stopped");
    },
    () => output.note("stopping; Ctrl-C again ends it at once"),
  );
}

const LOST: ReadonlySet<ErrorCode> = new Set(["device/ended", "device/lost"]);

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** What the operator is to see of a fault: all of it where it is a bug. */
function reasonOf(error: unknown): string {
  if (error instanceof DeitError) return error.message.replaceAll("\n", " ");
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function describe(
  { url, models, device }: ModelServer,
  { token, host }: { readonly token: string | undefined; readonly host: string },
): string {
  const { bold, cyan, dim } = coloursFor(process.stderr);
  const [first] = models;
  const rows = models.map(({ name, version, current }) => [
    `  ${name}`,
    `version ${version}`,
    current?.classifier.name ?? "",
    counted(current?.classifier.numClasses ?? 0, "class", "classes"),
    `${url}/models/${name}`,
  ]);
  const header = token === undefined ? "" : '-H "Authorization: Bearer $DEIT_TOKEN" ';
  const address =
    host === "0.0.0.0" || host === "::" ? url.replace(/\/\/[^/]*(?=:\d+$)/, "//localhost") : url;
  return [
    `${bold("serving")} on ${cyan(url)}  ${dim(device)}`,
    table(rows),
    `  try: curl ${header}--data-binary @cat.jpg ${address}${first === undefined ? "" : `/models/${first.name}`}`,
    dim("  Ctrl-C stops it"),
  ].join("\n");
}
