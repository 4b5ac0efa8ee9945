/**
 * The Chromium of this machine, driven through its remote debugging pipe: messages of the DevTools protocol as JSON, ended
 * by a zero byte. For tests that look at pages; they are left out, and say so, where there is none.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

const PROGRAMS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/lib64/chromium-browser/chromium-browser",
  "/opt/google/chrome/chrome",
  "/opt/google/chrome-unstable/chrome",
];

/** Its path; undefined where there is none. */
export const chromium: string | undefined = PROGRAMS.find((path) => existsSync(path));
if (chromium === undefined) console.warn("pages are not looked at: there is no Chromium on this machine");

export interface View {
  readonly scheme: "light" | "dark";
  readonly width: number;
}

export interface Seen {
  /** Addresses that the page asked for, besides itself and what is inside it. */
  readonly requests: readonly string[];
  /** What the console shows as errors, exceptions included. */
  readonly errors: readonly string[];
  /** What the expression is in the page. */
  readonly value: unknown;
}

export interface Browser {
  /** Opens a file and evaluates an expression in it once it is loaded. */
  look(file: string, view: View, expression: string): Promise<Seen>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

export async function openBrowser(program: string): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), "deit-chromium-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"];
  const child = spawn(program, [...flags, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const listeners = new Set<(message: Message) => void>();
  const send = talk(child, (message) => listeners.forEach((listener) => listener(message)));
  const { targetInfos } = await send("Target.getTargets");
  const page = (targetInfos as { type: string; targetId: string }[]).find(({ type }) => type === "page");
  const { sessionId } = await send("Target.attachToTarget", { targetId: page?.targetId, flatten: true });
  const ask = async (method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> =>
    send(method, params, String(sessionId));
  for (const domain of ["Page", "Network", "Runtime", "Log"]) await ask(`${domain}.enable`);

  return {
    async look(file: string, { scheme, width }: View, expression: string) {
      const url = pathToFileURL(file).href;
      const [requests, errors]: [string[], string[]] = [[], []];
      await ask("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: scheme }],
      });
      await ask("Emulation.setDeviceMetricsOverride", {
        width,
        height: 800,
        deviceScaleFactor: 1,
        mobile: width < 600,
      });
      let listener: ((message: Message) => void) | undefined;
      const loaded = new Promise<void>((resolve) => {
        listener = ({ method, params }) => {
          if (method === "Page.loadEventFired") resolve();
          const asked = (params?.["request"] as { url: string } | undefined)?.url ?? url;
          if (method === "Network.requestWillBeSent" && asked !== url && !asked.startsWith("data:"))
            requests.push(asked);
          if (method === "Runtime.exceptionThrown") errors.push(JSON.stringify(params));
          const entry = params?.["entry"] as { level: string; text: string } | undefined;
          if (method === "Log.entryAdded" && entry?.level === "error") errors.push(entry.text);
          if (method === "Runtime.consoleAPICalled" && params?.["type"] === "error")
            errors.push(JSON.stringify(params["args"]));
        };
        listeners.add(listener);
      });
      await ask("Page.navigate", { url });
      await loaded;
      const { result } = await ask("Runtime.evaluate", { expression, returnByValue: true });
      if (listener !== undefined) listeners.delete(listener);
      return { requests, errors, value: (result as { value: unknown }).value };
    },
    async close() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      await send("Browser.close").catch(() => {});
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

type Send = (
  method: string,
  params?: object,
  sessionId?: string,
) => Promise<Readonly<Record<string, unknown>>>;

/** Requests over the pipe; what is not an answer goes to `onEvent`. */
function talk(child: ChildProcess, onEvent: (message: Message) => void): Send {
  const [, , , input, output] = child.stdio as [null, null, null, Writable, Readable];
  const waiting = new Map<number, { resolve(message: Message): void; reject(error: Error): void }>();
  child.once("exit", () => {
    for (const { reject } of waiting.values()) reject(new Error("Chromium ended before it had answered"));
  });
  let rest = "";
  output.setEncoding("utf8");
  output.on("data", (text: string) => {
    const parts = (rest + text).split("\0");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const message = JSON.parse(part) as Message;
      const answered = message.id === undefined ? undefined : waiting.get(message.id);
      if (answered === undefined) onEvent(message);
      else answered.resolve(message);
    }
  });
  let last = 0;
  return async (method, params = {}, sessionId) => {
    const id = ++last;
    const answer = new Promise<Message>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
    });
    input.write(`${JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`);
    const { result = {}, error } = await answer;
    waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };
}
