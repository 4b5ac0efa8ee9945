/** Which packages a bundle carries: the lockfile's production packages for one platform, and which of their files. Pure. */

/** A platform that ONNX Runtime and sharp have native code for. */
export interface Platform {
  readonly os: "linux" | "darwin" | "win32";
  readonly cpu: "x64" | "arm64";
}

export const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-arm64", "win32-x64"] as const;
export type PlatformName = (typeof PLATFORMS)[number];

export function platformOf(name: PlatformName): Platform {
  const [os, cpu] = name.split("-") as [Platform["os"], Platform["cpu"]];
  return { os, cpu };
}

/** An entry of package-lock.json's `packages`. */
export interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly peer?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface BundledPackage {
  /** Where it lies: `node_modules/sharp`, `node_modules/a/node_modules/b`. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  /** Optional and of no platform: a fallback (WebAssembly) that npm left out where it was not needed. */
  readonly fallback: boolean;
}

/** The package of the workspace that a bundle is made of. */
const PROGRAM = "packages/deit";

/** The packages that the program needs on a platform (with glibc, on Linux), in the order of the lockfile. */
export function productionPackages(
  packages: Readonly<Record<string, LockedPackage>>,
  { os, cpu }: Platform,
): BundledPackage[] {
  const needed = reachable(packages, PROGRAM);
  return Object.entries(packages).flatMap(([path, entry]) => {
    const fits =
      (entry.os?.includes(os) ?? true) &&
      (entry.cpu?.includes(cpu) ?? true) &&
      (entry.libc?.includes("glibc") ?? true);
    if (!needed.has(path) || !fits || entry.version === undefined) return [];
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const fallback = entry.optional === true && entry.os === undefined && entry.cpu === undefined;
    return [{ path, name, version: entry.version, fallback }];
  });
}

/** Paths of the packages that one depends on, found as Node finds them: in node_modules folders, from the inside out. */
function reachable(packages: Readonly<Record<string, LockedPackage>>, start: string): Set<string> {
  const found = new Set<string>();
  const visit = (path: string): void => {
    const { dependencies, optionalDependencies } = packages[path] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const place = placesOf(path)
        .map((place) => `${place}node_modules/${name}`)
        .find((place) => place in packages);
      if (place === undefined || found.has(place)) continue;
      found.add(place);
      visit(place);
    }
  };
  visit(start);
  return found;
}

/** The folders above a path whose node_modules Node searches, innermost first: "a/node_modules/b/", "a/", "". */
function placesOf(path: string): string[] {
  const parts = path.split("/");
  return [...parts.keys(), parts.length]
    .toReversed()
    .map((length) =>
      parts
        .slice(0, length)
        .map((part) => `${part}/`)
        .join(""),
    )
    .filter((place) => !place.endsWith("node_modules/"));
}

/** Folders at the top of a package that nothing loads. */
const NEEDLESS = new Set([
  "test",
  "tests",
  "__tests__",
  "docs",
  "example",
  "examples",
  "benchmark",
  "benchmarks",
]);
/** Types, maps and prose; licences stay. */
const NEEDLESS_FILE =
  /\.(?:map|[cm]?ts|tsbuildinfo|flow|markdown)$|(?:^|\/)(?!LICEN[CS]E|NOTICE|COPYING)[^/]*\.md$/i;

export interface FileOptions {
  readonly platform: Platform;
  /** Keep the CUDA provider, where it was installed: some hundred MB. */
  readonly cuda: boolean;
}

/** Whether a bundle carries a package's file; `file` is its path inside the package, with slashes. */
export function isCarried({ name }: BundledPackage, file: string, { platform, cuda }: FileOptions): boolean {
  const [top = ""] = file.split("/");
  if (top === "node_modules" || NEEDLESS_FILE.test(file)) return false;
  if (file.includes("/") && NEEDLESS.has(top.toLowerCase())) return false;
  if (name !== "onnxruntime-node" || top !== "bin") return true;
  const own = `bin/napi-v6/${platform.os}/${platform.cpu}/`;
  return file.startsWith(own) && (cuda || !file.includes("onnxruntime_providers_"));
}

/** The npm package with Node's executable for a platform, and where in it that is. */
export function nodePackage({ os, cpu }: Platform): { name: string; executable: string } {
  if (os === "win32") return { name: `node-win-${cpu}`, executable: "bin/node.exe" };
  const prefix = os === "darwin" && cpu === "arm64" ? "node-bin" : "node";
  return { name: `${prefix}-${os}-${cpu}`, executable: "bin/node" };
}

/** A bundle should be quick to copy, and a dependency that doubles it be noticed. */
const MOST_MEGABYTES = 60;

/** What to say of a packed bundle that is larger than it should be. */
export function sizeWarning(bytes: number, { cuda }: Pick<FileOptions, "cuda">): string | undefined {
  if (cuda || bytes <= MOST_MEGABYTES * 1e6) return undefined;
  return `${(bytes / 1e6).toFixed(1)} MB are more than the ${MOST_MEGABYTES} MB that a bundle should have`;
}
