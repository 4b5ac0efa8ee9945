/** The folder that a command writes its results into. */
import { stat } from "node:fs/promises";
import { ConfigError } from "../errors.ts";
import { makeFolder as make } from "../formats/atomic-file.ts";

/** Makes the folder of --out, where there is none. @throws ConfigError when something else has its name */
export async function makeFolder(path: string): Promise<void> {
  await refuseFile(path);
  await make(path, { what: "results" });
}

/** For what writes nothing yet. @throws ConfigError when --out is not a folder */
export async function refuseFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isDirectory())
    throw new ConfigError("out", `--out: ${path} is a file, expected a folder`, {
      code: "files/no-folder",
      hint: "Name a folder; it is created if it does not exist.",
    });
}
