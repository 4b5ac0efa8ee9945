/** Who taught a model, and under which licence the files of the teacher are: what a student learnt from may bind it, too. */
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { locateCheckpoint } from "../evaluation/checkpoints/locate-checkpoint.ts";

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
  return {
    name: isOnHub ? teacher : basename(teacher),
    licence: file === undefined ? undefined : await licenceIn(dirname(file)),
  };
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
