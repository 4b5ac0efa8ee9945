/** Who taught a model, and under which licence the files of the teacher are: what a student learnt from may bind it, too. */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { locateCheckpoint } from "../evaluation/checkpoints/locate-checkpoint.ts";
import { readOnnxSignature } from "../evaluation/onnx/onnx-signature.ts";
import { modelFolder } from "../formats/model-folder.ts";

export interface TaughtBy {
  /** A Hub id, or the name of the file or folder. */
  readonly name: string;
  /** As its files state it; undefined where they state none. */
  readonly licence: string | undefined;
}

/** Of the checkpoint that taught. */
export async function taughtBy(teacher: string): Promise<TaughtBy> {
  const isOnHub = /^[\w.-]+\/[\w.-]+(?:@[\w.-]+)?$/.test(teacher) && !/\.\w+$/.test(teacher);
  const file = await locateCheckpoint(teacher).catch(() => undefined); // moved since: its name is known still
  const inside = file?.toLowerCase().endsWith(".onnx") ? await metadataOf(file) : undefined;
  return {
    name: inside?.get("image_encoder") ?? (isOnHub ? teacher : basename(teacher)),
    licence: file && (inside?.get("license") ?? (await licenceIn(modelFolder(file)))),
  };
}

/** What an ONNX file says of itself, where it can be read: one that was made of another names that and its licence. */
async function metadataOf(file: string): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    return readOnnxSignature(await readFile(file)).metadata;
  } catch {
    return undefined;
  }
}

/** Licences by how their text begins. */
const TEXTS: readonly (readonly [name: string, text: RegExp])[] = [
  ["apache-2.0", /Apache License\s+Version 2\.0/],
  ["mit", /MIT License|Permission is hereby granted, free of charge/],
  ["cc-by-nc-4.0", /Attribution-NonCommercial 4\.0/],
  ["bsd-3-clause", /Redistribution and use in source and binary forms[\s\S]*Neither the name/],
  ["bsd-2-clause", /Redistribution and use in source and binary forms/],
];

/** What the head of a README.md says (`license: mit`), as on the Hub; else which text the file LICENSE has. */
async function licenceIn(folder: string): Promise<string | undefined> {
  const text = async (name: string): Promise<string> => readFile(join(folder, name), "utf8").catch(() => "");
  const head = /^---\n([\s\S]*?)\n---/.exec((await text("README.md")).replaceAll("\r", ""))?.[1] ?? "";
  const stated = /^license(?:_name)?:\s*["']?([^\s"'#]+)/m.exec(head)?.[1];
  if (stated !== undefined) return stated;
  for (const name of ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"]) {
    const found = await text(name);
    if (found !== "") return TEXTS.find(([, begins]) => begins.test(found))?.[0] ?? `see its ${name}`;
  }
  return undefined;
}
