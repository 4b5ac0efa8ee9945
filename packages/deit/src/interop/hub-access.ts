/** How the Hugging Face Hub is asked: where, as whom, and what its refusals mean. Settings are those of its own programs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ErrorCode } from "../error-codes.ts";
import { ConfigError, DataError } from "../errors.ts";
import type { HubId } from "./hub-cache.ts";
import { hubHome } from "./hub-cache.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface HubAccess {
  /** https://huggingface.co, or HF_ENDPOINT. */
  readonly hubUrl: string;
  readonly token: { readonly value: string; readonly from: string } | undefined;
}

/** @throws ConfigError for an address or a token that is none */
export async function hubAccess(env: Environment = process.env): Promise<HubAccess> {
  const hubUrl = (env["HF_ENDPOINT"] || "https://huggingface.co").replace(/\/+$/, "");
  if (!URL.canParse(hubUrl) || !/^https?:/.test(hubUrl)) {
    throw new ConfigError("HF_ENDPOINT", `HF_ENDPOINT is ${JSON.stringify(hubUrl)}; expected an address`, {
      code: "hub/settings",
      hint: "Write it as https://host, or unset it.",
    });
  }
  return { hubUrl, token: await findToken(env) };
}

/** Whether the network is forbidden. */
export function isOffline(env: Environment = process.env): boolean {
  const isOn = (value = ""): boolean => /^(?:1|on|yes|true)$/i.test(value);
  return isOn(env["HF_HUB_OFFLINE"]) || isOn(env["TRANSFORMERS_OFFLINE"]);
}

/** HF_TOKEN, else the file of HF_TOKEN_PATH, else what `hf auth login` left in HF_HOME. */
async function findToken(env: Environment): Promise<HubAccess["token"]> {
  const path = env["HF_TOKEN_PATH"] ?? join(hubHome(env), "token");
  const named = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].find((name) => env[name]?.trim());
  const from = named ?? path;
  const text = named === undefined ? await readFile(path, "utf8").catch(() => "") : (env[named] ?? "");
  const value = text.trim();
  if (value === "") return undefined;
  if (/^hf_\w+$/.test(value)) return { value, from };
  throw new ConfigError("HF_TOKEN", `what ${from} holds is not a token of the Hub: they begin with hf_`, {
    code: "hub/settings",
    hint: "Fix it or remove it: public models need none.",
  });
}

/**
 * fetch, with the token for the Hub itself, and with refusals as errors that say what to do.
 * @param timeout milliseconds for a whole answer; without it the caller watches the time
 */
export function hubFetch(
  access: HubAccess,
  id: HubId,
  { signal, timeout }: { signal?: AbortSignal | undefined; timeout?: number } = {},
): typeof fetch {
  const own = new URL(access.hubUrl).origin;
  return async (input, init) => {
    const request = new Request(input, init);
    // elsewhere, where redirections lead, it is nobody's business
    if (access.token !== undefined && new URL(request.url).origin === own)
      request.headers.set("authorization", `Bearer ${access.token.value}`);
    const signals = [
      request.signal,
      signal,
      timeout === undefined ? undefined : AbortSignal.timeout(timeout),
    ];
    const response = await fetch(request, {
      signal: AbortSignal.any(signals.filter((one) => one !== undefined)),
    });
    if (response.ok || response.status === 416) return response;
    await response.body?.cancel();
    throw refusal(response, { access, id });
  };
}

function refusal(
  { status, statusText, headers }: Response,
  { access: { hubUrl, token }, id: { repository, revision } }: { access: HubAccess; id: HubId },
): DataError {
  const code = headers.get("x-error-code") ?? "";
  const page = `${hubUrl}/${repository}`;
  const sent = token === undefined ? "No token was sent" : `The token of ${token.from} was sent`;
  const error = (problem: ErrorCode, message: string, hint: string): DataError =>
    new DataError(repository, message, { code: problem, hint });
  if (code === "RevisionNotFound" || (status === 404 && revision !== "main" && code !== "RepoNotFound"))
    return error(
      "hub/not-found",
      `${repository} has no revision ${revision} on ${hubUrl}`,
      `See ${page}/commits, or leave out @${revision}.`,
    );
  if (code === "GatedRepo" || status === 403) {
    return error(
      "hub/forbidden",
      `${repository} is only for those who agreed to its conditions (${status})`,
      `Agree at ${page}, then hf auth login, or set HF_TOKEN to a token of that account. ${sent}.`,
    );
  }
  if (status === 401 || status === 404) {
    return error(
      "hub/not-found",
      `${repository} is not on ${hubUrl}, or is private (${status})`,
      `Check the spelling at ${page}. If it is private or gated: hf auth login, or set HF_TOKEN. ${sent}.`,
    );
  }
  return error(
    status === 429 ? "hub/rate-limited" : "hub/bad-answer",
    `${hubUrl} answered ${`${status} ${statusText}`.trim()} about ${repository}`,
    status === 429
      ? `Rate limited: retry in a few minutes. ${sent}.`
      : "The server has a problem: try again later.",
  );
}
