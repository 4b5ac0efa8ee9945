/**
 * ReaL: labels of ImageNet's validation pictures as people see them (Beyer et al. 2020, "Are we done with ImageNet?"), of
 * which a picture may have several or none. real.json is a list of lists of class indices, in the order of
 * ILSVRC2012_val_00000001.JPEG on. An answer is right when it is one of them; pictures without any are passed over.
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { DataError, FormatError } from "../errors.ts";

/** Labels of a picture by its file's name; undefined when that is no validation picture's. */
export type RealLabels = (name: string) => readonly number[] | undefined;

const schema = z.array(z.array(z.int().min(0).max(999)));

/** @throws DataError when there is no such file, FormatError when it is no such list */
export async function readRealLabels(file: string): Promise<RealLabels> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new DataError(file, `${file} cannot be read`, {
      hint: "Give the real.json of google-research/reassessed-imagenet.",
      cause,
    });
  });
  let lists: readonly (readonly number[])[];
  try {
    lists = schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new FormatError(file, "is no list of lists of class indices, 0 to 999", {
      hint: "Give the real.json of google-research/reassessed-imagenet.",
      cause,
    });
  }
  return (name) => {
    const number = Number(/^ILSVRC2012_val_(\d{8})\b/.exec(basename(name))?.[1] ?? Number.NaN);
    if (Number.isNaN(number)) return undefined;
    const labels = lists[number - 1];
    if (labels !== undefined) return labels;
    throw new DataError(file, `${file} has labels of ${lists.length} pictures, none of ${name}`, {
      hint: "It belongs to another set of pictures, or is cut off.",
    });
  };
}
