/**
 * `npm run pack [-- --platform linux-x64] [--out FOLDER]`: the package deit-ts as a file for `npm install FILE`. ONNX Runtime is
 * bundled without its install script, which downloads CUDA libraries from outside npm's registry and fails the whole
 * installation where it cannot: `deit doctor --install-cuda` gets them when they are wanted (decision 31).
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PACKAGE = join(ROOT, "packages/deit");
const RUNTIME = "onnxruntime-node";

export interface Manifest {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

const manifestOf = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;

const writeManifest = async (folder: string, content: object): Promise<void> =>
  writeFile(join(folder, "package.json"), `${JSON.stringify(content, null, 2)}\n`);

export interface PackRequest {
  /** Folder that the file goes into. */
  readonly out: string;
  /** One platform's libraries alone, as `linux-x64`; absent: those of all platforms. */
  readonly platform?: string | undefined;
}

/** Builds and packs deit-ts. Returns the file's path. */
export async function packProgram({ out, platform }: PackRequest): Promise<string> {
  const stage = await mkdtemp(join(tmpdir(), "deit-pack-"));
  try {
    const manifest = await stageProgram(stage);
    const runtime = await bundleRuntime(stage, platform);
    // npm takes a bundled package to be complete: what it needs is asked for by the package around it.
    const dependencies = { ...manifest.dependencies, ...runtime.dependencies, [RUNTIME]: runtime.version };
    await writeManifest(stage, { ...manifest, dependencies, bundleDependencies: [RUNTIME] });
    await mkdir(out, { recursive: true });
    const words = ["pack", "--ignore-scripts", "--json", "--pack-destination", resolve(out)];
    const text = execFileSync("npm", words, {
      cwd: stage,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      shell: process.platform === "win32",
      maxBuffer: 2 ** 28,
    });
    const [packed] = JSON.parse(text) as [{ filename: string }];
    return join(resolve(out), packed.filename);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Builds deit-ts into an empty folder, as it is packed, without ONNX Runtime. Returns its manifest, which is written, too. */
export async function stageProgram(stage: string): Promise<Manifest> {
  const { scripts: _, ...manifest } = await manifestOf(PACKAGE);
  for (const name of manifest.files) {
    if (name === "dist") continue;
    const source = [PACKAGE, ROOT].map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (source !== undefined) await cp(source, join(stage, name), { recursive: true });
  }
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  const project = ["-p", join(PACKAGE, "tsconfig.build.json"), "--outDir", join(stage, "dist")];
  execFileSync(process.execPath, [compiler, ...project], { stdio: "inherit" });
  await writeManifest(stage, manifest);
  return manifest;
}

/** Copies the installed ONNX Runtime into the package, without its scripts. Returns its manifest. */
async function bundleRuntime(stage: string, platform: string | undefined): Promise<Manifest> {
  const source = join(ROOT, "node_modules", RUNTIME);
  const libraries = join(source, "bin/napi-v6");
  const own = platform && join(libraries, ...platform.split("-"));
  if (own && !existsSync(own))
    throw new Error(`ONNX Runtime has no libraries for ${platform} in ${libraries}`);
  const isCarried = (path: string): boolean => {
    const isProvider = path.includes("onnxruntime_providers_"); // CUDA's, where they were installed
    const isLibrary = path.startsWith(libraries + sep);
    return !isProvider && (!own || !isLibrary || path.startsWith(own) || own.startsWith(path));
  };
  const target = join(stage, "node_modules", RUNTIME);
  await mkdir(dirname(target), { recursive: true });
  const isOwnModules = (path: string): boolean => relative(source, path).split(sep)[0] === "node_modules";
  await cp(source, target, { recursive: true, filter: (path) => !isOwnModules(path) && isCarried(path) });
  const { scripts: _, ...manifest } = await manifestOf(source);
  await writeManifest(target, manifest);
  return manifest;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { platform: { type: "string" }, out: { type: "string", default: "." } },
  });
  console.log(await packProgram(values));
}
