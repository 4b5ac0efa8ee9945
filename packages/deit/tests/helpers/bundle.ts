/** Entries of the library, bundled for a browser as an application's bundler does it. */
import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What no browser has. */
const FOREIGN = new Set([...builtinModules, "sharp", "onnxruntime-node"]);

export interface Bundle {
  readonly code: string;
  /** Files of this project in it, below the package's root, and the packages that others come from. */
  readonly files: readonly string[];
  readonly packages: readonly string[];
  /** Imports that no browser can load: "node:fs in src/data/folder.ts". */
  readonly foreign: readonly string[];
}

/** `entry`: below the package's root. Node's own modules are left as imports, and named. */
export async function bundleForBrowser(
  entry: string,
  { minify = true }: { minify?: boolean } = {},
): Promise<Bundle> {
  const foreign = new Set<string>();
  const bundle = await rolldown({
    input: `${ROOT}${entry}`,
    platform: "browser",
    resolve: { conditionNames: ["deit-source", "browser", "import", "default"] },
    onLog: (level, log) => {
      if (level === "warn") foreign.add(log.message);
    },
    plugins: [
      {
        name: "what no browser has",
        resolveId(source, importer = "") {
          if (!source.startsWith("node:") && !FOREIGN.has(source)) return null;
          foreign.add(`${source} in ${importer.slice(ROOT.length)}`);
          return { id: source, external: true };
        },
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", minify, codeSplitting: false });
  await bundle.close();
  const [chunk] = output;
  const packages = chunk.moduleIds.flatMap((id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []);
  return {
    code: chunk.code,
    files: chunk.moduleIds.filter((id) => id.startsWith(ROOT)).map((id) => id.slice(ROOT.length)),
    packages: [...new Set(packages)].toSorted(),
    foreign: [...foreign],
  };
}
