/** Where the npm package of ONNX Runtime lies, and what of it this platform uses. Loads no native code. */

import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The installed onnxruntime-node. */
export interface OnnxRuntimePackage {
  readonly folder: string;
  readonly version: string;
  /** Its libraries for this platform; the folder is missing where there are none. */
  readonly libraries: string;
}

/** @throws where the package is not installed */
export function onnxRuntimePackage(
  folder: string = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json")),
): OnnxRuntimePackage {
  const { version }: { version: string } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return {
    folder,
    version,
    libraries: join(folder, "bin", "napi-v6", process.platform, process.arch),
  };
}

/** What the CUDA provider consists of: the provider, and the bridge by which ONNX Runtime loads providers. */
const CUDA_LIBRARIES = ["libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"];

/** Path of the CUDA provider's library; undefined when it, or a part of it, is not installed. */
export function cudaProvider({ libraries }: OnnxRuntimePackage): string | undefined {
  const paths = CUDA_LIBRARIES.map((name) => join(libraries, name));
  return paths.every((path) => existsSync(path)) ? paths[0] : undefined;
}

/** Takes away what there is of the CUDA provider. */
export async function removeCudaProvider({ libraries }: OnnxRuntimePackage): Promise<void> {
  for (const name of CUDA_LIBRARIES) await rm(join(libraries, name), { force: true });
}
