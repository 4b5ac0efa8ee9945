/** Writes the folder of a bundle: Node, the built program, its packages, and the one command that starts it. */
import { execFile } from "node:child_process";
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { promisify } from "node:util";
import type { BundledPackage, FileOptions, LockedPackage, Platform } from "./packages.ts";
import { isCarried, nodePackage, productionPackages } from "./packages.ts";

export interface FolderOptions extends FileOptions {
  /** The workspace: package-lock.json, node_modules, and packages/deit with dist and recipes. */
  readonly root: string;
  /** Where the bundle goes; must not exist. */
  readonly out: string;
  readonly onLine: (line: string) => void;
}

/** Writes the folder. Packages that are not installed (another platform's) are fetched with `npm pack`. */
export async function writeFolder({ root, out, platform, cuda, onLine }: FolderOptions): Promise<void> {
  const app = join(out, "app");
  await mkdir(app, { recursive: true });
  const program = join(root, "packages/deit");
  for (const name of ["LICENSE", "README.md"]) await copyFile(join(root, name), join(app, name));
  await copyFile(join(program, "package.json"), join(app, "package.json"));
  const isProgram = (path: string): boolean => !/\.(?:map|d\.ts)$/.test(path);
  await cp(join(program, "dist"), join(app, "dist"), { recursive: true, filter: isProgram });
  await cp(join(program, "recipes"), join(app, "recipes"), { recursive: true });
  const addon = join("native", `${platform.os}-${platform.cpu}.node`);
  if (existsSync(join(program, addon))) await cp(join(program, addon), join(app, addon));

  const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
    await readFile(join(root, "package-lock.json"), "utf8"),
  );
  const temporary = await mkdtemp(join(tmpdir(), "deit-bundle-"));
  try {
    for (const entry of productionPackages(lock.packages, platform)) {
      const installed = join(root, entry.path);
      const isInstalled = existsSync(join(installed, "package.json"));
      if (entry.fallback && !isInstalled) continue;
      const source = isInstalled
        ? installed
        : await fetchPackage(`${entry.name}@${entry.version}`, { temporary, onLine });
      await copyPackage(entry, source, { to: join(app, entry.path), platform, cuda });
    }
    await copyNode(platform, { to: join(out, "runtime"), temporary, onLine });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  await writeStart(platform, out);
}

async function copyPackage(
  entry: BundledPackage,
  source: string,
  { to, ...options }: FileOptions & { to: string },
): Promise<void> {
  await cp(source, to, {
    recursive: true,
    dereference: true,
    filter: async (path) => {
      const file = relative(source, path).split(sep).join("/");
      if (file === "" || file === "node_modules") return file === "";
      return (await stat(path)).isDirectory() || isCarried(entry, file, options);
    },
  });
  await removeEmptyFolders(to);
}

async function removeEmptyFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await removeEmptyFolders(join(folder, entry.name));
  if ((await readdir(folder)).length === 0) await rm(folder, { recursive: true });
}

interface Fetching {
  readonly temporary: string;
  readonly onLine: (line: string) => void;
}

/** Fetches and unpacks a package with npm, as the user's registry settings say. Returns its folder. */
async function fetchPackage(spec: string, { temporary, onLine }: Fetching): Promise<string> {
  onLine(`fetching ${spec}`);
  const run = promisify(execFile);
  const folder = await mkdtemp(join(temporary, "package-"));
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  try {
    const { stdout } = await run(npm, ["pack", spec, "--pack-destination", folder, "--silent"], {
      shell: process.platform === "win32",
    });
    await run("tar", ["-xzf", join(folder, stdout.trim().split("\n").at(-1) ?? ""), "-C", folder]);
  } catch (error) {
    const { stderr = "" } = error as { stderr?: string };
    const code = /npm error code (\S+)/.exec(stderr)?.[1];
    throw new Error(`${spec} cannot be fetched with npm pack (${code ?? String(error)})`, { cause: error });
  }
  return join(folder, "package");
}

/** This very Node for this platform; the same release from npm for another one. */
async function copyNode(platform: Platform, { to, ...fetching }: Fetching & { to: string }): Promise<void> {
  const { name, executable } = nodePackage(platform);
  const file = join(to, platform.os === "win32" ? "node.exe" : "node");
  await mkdir(to, { recursive: true });
  if (platform.os === process.platform && platform.cpu === process.arch) {
    await copyFile(process.execPath, file);
  } else {
    const [major] = process.versions.node.split(".");
    // Not every release is there for every platform.
    const folder = await fetchPackage(`${name}@${process.versions.node}`, fetching).catch((error: Error) => {
      fetching.onLine(`${error.message}; taking the newest ${major}.x`);
      return fetchPackage(`${name}@${major}`, fetching);
    });
    await copyFile(join(folder, executable), file);
  }
  await chmod(file, 0o755);
}

/** Starts with nothing but a shell: no Node, no npm, no network. */
const SHELL_START = `#!/bin/sh
# Starts deit with the Node that lies beside it.
self=$0
if [ -L "$self" ]; then self=$(readlink -f "$self"); fi
case $self in
  */*) here=\${self%/*} ;;
  *) here=. ;;
esac
exec "$here/runtime/node" "$here/app/dist/cli/main.js" "$@"
`;

const CMD_START = `@rem Starts deit with the Node that lies beside it.\r\n@"%~dp0runtime\\node.exe" "%~dp0app\\dist\\cli\\main.js" %*\r\n`;

async function writeStart({ os }: Platform, out: string): Promise<void> {
  const file = join(out, os === "win32" ? "deit.cmd" : "deit");
  await writeFile(file, os === "win32" ? CMD_START : SHELL_START);
  await chmod(file, 0o755);
  await writeFile(join(out, "README.txt"), readme(os));
}

function readme(os: Platform["os"]): string {
  const deit = os === "win32" ? "deit.cmd" : "./deit";
  return `deit, with all that it needs: nothing is to be installed, and no network is used.

  ${deit} doctor                what this machine has, and what will be used
  ${deit} train FOLDER          images, a folder for each class
  ${deit} --help

Results go into runs/ of the folder that it is started in, caches into the user's cache folder (DEIT_CACHE).
app/LICENSE is deit's licence; those of its parts lie beside them in app/node_modules.
`;
}
