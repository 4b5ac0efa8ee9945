/** Which models a server has: `NAME=MODEL`, `NAME@VERSION=MODEL`, or a model that is called by its own name. */
import { basename, resolve } from "node:path";
import { ConfigError } from "../errors.ts";
import { namedCheckpoint } from "../evaluation/checkpoints/named-checkpoint.ts";

/** A model to serve: what was given, and where it is found. */
export interface NamedModel {
  readonly name: string;
  /** From 1; requests that name none are for the highest. */
  readonly version: number;
  /** What `openClassifier` opens. */
  readonly checkpoint: string;
}

const NAME = /^[A-Za-z0-9][\w.-]{0,127}$/;
/** Files and folders of every run, which say nothing. */
const EVERY_RUNS = /^(?:best|last|ema|model|state|transformers-js|onnx)(?:\.\w+)?$/;

/** @throws ConfigError for a name that no address can hold, and for two models of one name and version */
export function namedModels(given: readonly string[]): NamedModel[] {
  const models = given.map(parse);
  for (const [i, { name, version }] of models.entries()) {
    const first = models.findIndex((other) => other.name === name && other.version === version);
    if (first !== i)
      throw new ConfigError(
        "models",
        `two models are ${name}, version ${version}: ${given[first]} and ${given[i]}`,
        {
          code: "serve/names",
          hint: `Give them names (a=${models[first]?.checkpoint} b=${models[i]?.checkpoint}) or versions (${name}@1=… ${name}@2=…).`,
        },
      );
  }
  return models;
}

function parse(given: string): NamedModel {
  const { name: prefix, path } = namedCheckpoint(given);
  const [, said = "", digits] = /^(.*?)(?:@(\d{1,9}))?$/.exec(prefix ?? "") ?? [];
  const name = prefix === undefined ? ownName(path) : said;
  const version = Number(digits ?? 1);
  if (!NAME.test(name) || version < 1 || path === "")
    throw new ConfigError("models", `${given}: ${JSON.stringify(prefix ?? name)} is not a name of a model`, {
      code: "serve/names",
      hint: "Expected NAME=MODEL or NAME@VERSION=MODEL: letters, digits, ., - and _, and a version from 1 on.",
    });
  return { name, version, checkpoint: path };
}

/** runs/flowers → flowers; owner/model@revision → model; flowers/best.safetensors → flowers. */
function ownName(checkpoint: string): string {
  const parts = resolve("/", checkpoint.replace(/^https?:\/\/[^/]*/, "").replace(/[?#].*$/, ""))
    .split(/[/\\]/)
    .filter((part) => part !== "" && !EVERY_RUNS.test(part));
  const last = basename(parts.at(-1) ?? "model");
  return last
    .replace(/@[^@]*$/, "")
    .replace(/\.(?:safetensors|pth|pt|bin|onnx)$/, "")
    .replaceAll(/[^\w.-]/g, "-");
}
