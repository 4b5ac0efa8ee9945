/** A dataset of image files. */
import { relative } from "node:path";
import type { Dataset } from "./dataset.ts";
import { readImageBytes, readImageFile } from "./decoding/decode.ts";

/** `files` are whole paths below `root`. */
export function fileDataset({
  root,
  files,
  labels,
  ...rest
}: Pick<Dataset, "name" | "classes" | "source" | "notes" | "leftOut"> & {
  root: string;
  files: readonly string[];
  labels: readonly number[];
}): Dataset {
  const at = (index: number): string => {
    const file = files[index];
    if (file === undefined) throw new RangeError(`image ${index} of ${files.length}`);
    return file;
  };
  return {
    ...rest,
    decodes: true,
    length: files.length,
    labels: Int32Array.from(labels),
    read: async (index) => readImageFile(at(index)),
    encoded: async (index) => readImageBytes(at(index)),
    describe: (index) => relative(root, at(index)).replaceAll("\\", "/"),
  };
}
