/** Whether CUDA could run here: the provider of ONNX Runtime, and the libraries that it is linked with. */

import { cudaProvider, onnxRuntimePackage } from "../runtime/onnxruntime-package.ts";
import { cudaRefusal } from "../runtime/install-cuda.ts";
import { attempt, entries, outputOf } from "../runtime/guarded.ts";

export interface Cuda {
  /** Whether ONNX Runtime has a provider for this platform at all. */
  readonly offered: boolean;
  /** Path of the provider's library, where it is installed. */
  readonly provider: string | undefined;
  /** Libraries that it wants and the dynamic linker does not find; undefined where that cannot be determined. */
  readonly missing: readonly string[] | undefined;
}

/** What ONNX Runtime's provider for CUDA 12 is linked with: the driver's library, CUDA's, and cuDNN's. */
const WANTED = [
  "libcuda.so.1",
  "libcudart.so.12",
  "libcublas.so.12",
  "libcublasLt.so.12",
  "libcufft.so.11",
  "libcurand.so.10",
  "libcudnn.so.9",
];

export async function lookAtCuda(): Promise<Cuda> {
  if (cudaRefusal() !== undefined) return { offered: false, provider: undefined, missing: undefined };
  const provider = attempt(() => cudaProvider(onnxRuntimePackage()));
  return { offered: true, provider, missing: await missingLibraries(provider) };
}

async function missingLibraries(provider: string | undefined): Promise<readonly string[] | undefined> {
  const known = await outputOf("/sbin/ldconfig", ["-p"]);
  const listed = known === undefined ? undefined : absent(known);
  if (provider === undefined) return listed;
  // The linker itself knows best; the driver's library is opened by name later, so it is not among these.
  const linked = await outputOf("ldd", [provider]);
  if (linked === undefined) return listed;
  const driver = listed?.filter((name) => name === "libcuda.so.1") ?? [];
  return [...driver, ...notFound(linked)];
}

/** Which wanted libraries neither `ldconfig -p` lists nor a folder of LD_LIBRARY_PATH has. */
export function absent(listed: string, path = process.env["LD_LIBRARY_PATH"] ?? ""): string[] {
  const folders = path.split(":").filter((folder) => folder !== "");
  return WANTED.filter(
    (name) =>
      !listed.includes(`${name} `) &&
      !folders.some((folder) => entries(folder).some((file) => file.endsWith(`/${name}`))),
  );
}

/** Libraries that `ldd` did not find. ONNX Runtime's own bridge is found when the provider is loaded. */
export function notFound(linked: string): string[] {
  return [...linked.matchAll(/^\s*(\S+) => not found/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => !name.startsWith("libonnxruntime"));
}
