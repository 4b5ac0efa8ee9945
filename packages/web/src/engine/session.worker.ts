/** A worker that runs programs on ONNX Runtime: WebAssembly, or WebGPU where the build with it can be used. */
import { createSessionHost } from "deit-ts/web";
import type { Envelope } from "deit-ts/web";
import plainGlue from "#ort/ort-wasm-simd-threaded.mjs?url";
import plainWasm from "#ort/ort-wasm-simd-threaded.wasm?url";
import jspiGlue from "#ort/ort-wasm-simd-threaded.jspi.mjs?url";
import jspiWasm from "#ort/ort-wasm-simd-threaded.jspi.wasm?url";

/** The first message: how ONNX Runtime is to run. */
export interface SessionStart {
  readonly threads: number;
  /** The build with WebGPU is larger, and needs JavaScript's promise integration. */
  readonly webgpu: boolean;
}

let waiting: Envelope[] | undefined = [];
let handle: ((message: Envelope) => void) | undefined;

globalThis.addEventListener("message", ({ data }: MessageEvent<SessionStart | Envelope>) => {
  if ("request" in data) {
    if (handle === undefined) waiting?.push(data);
    else handle(data);
    return;
  }
  void start(data);
});

async function start({ threads, webgpu }: SessionStart): Promise<void> {
  const ort = await (webgpu ? import("onnxruntime-web/jspi") : import("onnxruntime-web/wasm"));
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = webgpu
    ? { mjs: here(jspiGlue), wasm: here(jspiWasm) }
    : { mjs: here(plainGlue), wasm: here(plainWasm) };
  handle = createSessionHost({ ort }, (answer, transfer) => globalThis.postMessage(answer, { transfer }));
  for (const message of waiting ?? []) handle(message);
  waiting = undefined;
}

/** An address that does not depend on where it is used. */
function here(url: string): string {
  return new URL(url, globalThis.location.href).href;
}
