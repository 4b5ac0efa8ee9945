/**
 * Who may ask: pages of other hosts may not (Host and Origin are checked, so that a name that is made to point at this machine
 * is refused, too), and beyond this machine only who has the token.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { ConfigError, DeitError } from "../errors.ts";

export interface GuardOptions {
  /** The address that is listened on. */
  readonly host: string;
  /** Other names that requests may be made to, as a reverse proxy passes them on: `api.example.org`. */
  readonly allowHosts: readonly string[];
  /** Pages that may ask from a browser: `https://app.example.org`. */
  readonly allowOrigins: readonly string[];
  readonly token: string | undefined;
}

/** What the guard looks at. */
export interface GuardedRequest {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
}

export interface Guard {
  /** @throws DeitError for a request that is not to be answered */
  check(request: GuardedRequest, options?: { readonly isOpen?: boolean }): void;
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "::1"]);
const SHORTEST_TOKEN = 16;

export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** @throws ConfigError for a server beyond this machine without a token, and for origins that are none */
export function createGuard({ host, allowHosts, allowOrigins, token }: GuardOptions): Guard {
  const isHere = isLoopback(host);
  if (!isHere && token === undefined)
    throw new ConfigError("token", `--host ${host} is reached from other machines, and no token was given`, {
      code: "serve/token-needed",
      hint: "Give one in the environment (DEIT_TOKEN=$(openssl rand -hex 32)) or with --token. Requests then carry the header Authorization: Bearer TOKEN.",
    });
  if (token !== undefined && (token.length < SHORTEST_TOKEN || !/^[\x21-\x7e]+$/.test(token)))
    throw new ConfigError("token", "the token is too short, or no header can hold it", {
      code: "options/value",
      hint: `Expected at least ${SHORTEST_TOKEN} letters, digits and signs without spaces: openssl rand -hex 32 makes one.`,
    });
  for (const origin of allowOrigins)
    if (originOf(origin) !== origin)
      throw new ConfigError("allowOrigin", `--allow-origin: got ${origin}, expected scheme, host and port`, {
        code: "options/value",
        hint: `For example ${originOf(origin) ?? "https://app.example.org"}.`,
      });
  const hosts = new Set([...LOOPBACK, host, ...allowHosts].map((name) => name.toLowerCase()));
  const expected = token === undefined ? undefined : digest(token);

  const isKnownHost = (given: string | undefined): boolean => {
    // Beyond this machine the token decides: this one's names are not known here.
    if (!isHere && allowHosts.length === 0) return true;
    const name = hostName(given);
    return name !== undefined && (hosts.has(name) || isLoopback(name));
  };

  return {
    check({ host: asked, origin, authorization }, { isOpen = false } = {}) {
      if (!isKnownHost(asked))
        throw new DeitError(`this server does not accept the host ${asked ?? "a request without Host"}`, {
          code: "serve/host",
          hint: "Use localhost, or allow the host when the server is started: --allow-host NAME.",
        });
      if (origin !== undefined && !allowOrigins.includes(origin) && hostOf(origin) !== asked?.toLowerCase())
        throw new DeitError(`requests from pages of ${origin} are not allowed`, {
          code: "serve/origin",
          hint: `Allow them when the server is started: --allow-origin ${originOf(origin) ?? "https://app.example.org"}.`,
        });
      if (isOpen || expected === undefined) return;
      const [, given] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
      if (given === undefined || !timingSafeEqual(digest(given), expected))
        throw new DeitError(given === undefined ? "the token is missing" : "the token is not the server's", {
          code: "serve/token",
          hint: "Send the header Authorization: Bearer TOKEN.",
        });
    },
  };
}

/** Of equal length for tokens of any. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** `localhost:8000` → `localhost`; `[::1]:8000` → `::1`. */
function hostName(given: string | undefined): string | undefined {
  const [, inBrackets, plain] = /^(?:\[([\da-f:]+)\]|([^:[\]\s/]+))(?::\d{1,5})?$/i.exec(given ?? "") ?? [];
  return (inBrackets ?? plain)?.toLowerCase();
}

function originOf(given: string): string | undefined {
  return URL.canParse(given) ? new URL(given).origin : undefined;
}

/** Host and port, as a Host header has them. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
