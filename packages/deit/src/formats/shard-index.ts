/** `model.safetensors.index.json`: which file beside it holds which tensor. Untrusted: it may name no other place. Node only. */
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { FormatError } from "../errors.ts";

/** An index is names alone. */
const LARGEST_INDEX = 16 * 1024 * 1024;
const MOST_SHARDS = 10_000;

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** File names by tensor. @throws FormatError for anything but an index of files beside it */
export async function readShardIndex(path: string): Promise<ReadonlyMap<string, string>> {
  const { size } = await stat(path);
  if (size > LARGEST_INDEX)
    throw new FormatError(path, `has ${size} bytes, too many for an index of tensors`, {
      code: "checkpoint/damaged",
    });
  const map = parseIndex(await readFile(path, "utf8"), path);
  const names = new Set(map.values());
  if (names.size > MOST_SHARDS)
    throw new FormatError(path, `names ${names.size} files, more than any model`, {
      code: "checkpoint/damaged",
    });
  for (const name of names) {
    if (name !== basename(name) || name.includes("\\") || name === "" || name === "." || name === "..")
      throw new FormatError(path, `names ${JSON.stringify(name.slice(0, 100))}, which is not beside it`, {
        code: "checkpoint/damaged",
      });
  }
  return map;
}

/** The files that an index names, each once. @throws FormatError as {@link readShardIndex} */
export async function shardNames(path: string): Promise<string[]> {
  return [...new Set((await readShardIndex(path)).values())];
}

function parseIndex(text: string, path: string): ReadonlyMap<string, string> {
  try {
    return new Map(Object.entries(indexSchema.parse(JSON.parse(text)).weight_map));
  } catch (cause) {
    throw new FormatError(path, "is JSON, but no index of tensors with a weight_map", {
      code: "checkpoint/damaged",
      hint: "Give the .safetensors file itself, or its model.safetensors.index.json.",
      cause,
    });
  }
}
