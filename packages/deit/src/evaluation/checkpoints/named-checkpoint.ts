/** Checkpoints as people write them beside each other: `name=path`. */
import { existsSync } from "node:fs";

/** "convnet=model.onnx" has a name, unless that is a path. */
export function namedCheckpoint(given: string): {
  readonly name: string | undefined;
  readonly path: string;
} {
  const at = given.indexOf("=");
  if (at <= 0 || /^https?:/.test(given) || existsSync(given)) return { name: undefined, path: given };
  return { name: given.slice(0, at), path: given.slice(at + 1) };
}
