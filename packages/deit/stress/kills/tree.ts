/** What lies in a folder, for comparisons. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";

/** Hashes of all files by their paths; `ignore`: paths whose content differs from time to time, which are "there". */
export async function tree(root: string, ignore: RegExp = /^$/): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path);
    if (entry.isDirectory()) found[`${name}/`] = "folder";
    else found[name] = ignore.test(name) ? "there" : sha256(await readFile(path));
  }
  return found;
}

export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}

/** In words, what differs; nothing when equal. */
export function differences(
  found: Readonly<Record<string, string>>,
  expected: Readonly<Record<string, string>>,
): string[] {
  const names = new Set([...Object.keys(found), ...Object.keys(expected)]);
  return [...names].flatMap((name) => {
    if (found[name] === expected[name]) return [];
    if (found[name] === undefined) return [`${name} is missing`];
    return [expected[name] === undefined ? `${name} is left over` : `${name} has other content`];
  });
}
