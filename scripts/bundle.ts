/**
 * `npm run bundle [-- --platform linux-x64] [--out FILE]`: one self-contained file for machines without a network: Node,
 * the built program, its libraries and the engine for one platform. Unpack it anywhere with tar, start ./deit.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { INSTALL_CUDA } from "../packages/deit/src/runtime/install-cuda.ts";
import { cudaProvider, onnxRuntimePackage } from "../packages/deit/src/runtime/onnxruntime-package.ts";
import { VERSION } from "../packages/deit/src/version.ts";
import { bestEnding, ENDINGS, pack } from "./bundle/archive.ts";
import { writeFolder } from "./bundle/folder.ts";
import { platformOf, PLATFORMS, sizeWarning } from "./bundle/packages.ts";
import type { PlatformName } from "./bundle/packages.ts";

const USAGE = `Usage: npm run bundle -- [--platform ${PLATFORMS.join("|")}] [--out FILE] [--cuda]

  --platform  the machine that it is for (default: this one)
  --out       ${ENDINGS.join(", ")}; without such an ending, a folder (default: bundles/deit-VERSION-PLATFORM${ENDINGS[0]})
  --cuda      with ONNX Runtime's CUDA provider, after deit doctor --install-cuda: some hundred MB more`;

const ROOT = resolve(import.meta.dirname, "..");

const say = (line: string): void => void process.stderr.write(`${line}\n`);

function fail(message: string): never {
  say(`error: ${message}`);
  process.exit(2);
}

interface Request {
  readonly platform: PlatformName;
  readonly out: string;
  readonly cuda: boolean;
}

function request(words: readonly string[]): Request | undefined {
  const options = {
    platform: { type: "string" },
    out: { type: "string" },
    cuda: { type: "boolean", default: false },
    help: { type: "boolean", short: "h" },
  } as const;
  try {
    const { values } = parseArgs({ args: [...words], options });
    if (values.help) return undefined;
    const given = values.platform ?? `${process.platform}-${process.arch}`;
    const platform = PLATFORMS.find((name) => name === given);
    if (platform === undefined) return fail(`got --platform ${given}, expected ${PLATFORMS.join(", ")}`);
    if (values.cuda) checkCuda(platform);
    const out = values.out ?? join("bundles", `deit-${VERSION}-${platform}${bestEnding()}`);
    return { platform, out: resolve(out), cuda: values.cuda };
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

/** Without the provider, there would be a bundle that lacks what was asked for. */
function checkCuda(platform: PlatformName): void {
  if (platform !== "linux-x64") fail(`--cuda is for linux-x64, got --platform ${platform}`);
  const library = onnxRuntimePackage(join(ROOT, "node_modules", "onnxruntime-node"));
  if (cudaProvider(library) === undefined)
    fail(`--cuda: ONNX Runtime's CUDA provider is not installed here; run first: ${INSTALL_CUDA}`);
}

async function bundle({ platform, out, cuda }: Request): Promise<void> {
  const ending = ENDINGS.find((end) => out.endsWith(end));
  if (ending === undefined && existsSync(out)) fail(`${out} already exists; name a new folder`);
  say("building the program");
  const built = spawnSync(
    process.execPath,
    [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", "packages/deit/tsconfig.build.json"],
    {
      cwd: ROOT,
      stdio: "inherit",
    },
  );
  if (built.status !== 0) fail("the program does not compile");

  await mkdir(dirname(out), { recursive: true });
  // Beside the result, so that it takes its place by a rename.
  const work = await mkdtemp(join(dirname(out), ".bundle-"));
  try {
    const folder = join(work, `deit-${VERSION}-${platform}`);
    await writeFolder({ root: ROOT, out: folder, platform: platformOf(platform), cuda, onLine: say });
    if (ending === undefined) {
      await rename(folder, out);
      say(`${out}: start it with ${join(out, platform === "win32-x64" ? "deit.cmd" : "deit")}`);
      return;
    }
    say(`packing ${out}`);
    const packed = join(work, "packed");
    await pack(folder, packed, ending);
    await rename(packed, out);
    const { size } = await stat(out);
    say(`${out}: ${(size / 1e6).toFixed(1)} MB; unpack it with tar -xf, start ./deit in its folder`);
    const large = sizeWarning(size, { cuda });
    if (large !== undefined) say(`warning: ${large}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const asked = request(process.argv.slice(2));
if (asked === undefined) say(USAGE);
else await bundle(asked);
