/** What executes programs in a page: a web worker with ONNX Runtime behind the project's own client. */
import { connect } from "deit-ts/web";
import type { Answer, Runtime, SessionPort } from "deit-ts/web";
import type { SessionStart } from "./session.worker.ts";

export interface DeviceChoice {
  readonly device: "cpu" | "webgpu";
  /** Of WebAssembly; more than one needs cross-origin isolation. */
  readonly threads: number;
}

/** Opens a worker for a device. Ending it (`close`) is the only way to give WebAssembly's memory back. */
export async function openDevice({ device, threads }: DeviceChoice): Promise<Runtime> {
  const worker = new Worker(new URL("./session.worker.ts", import.meta.url), { type: "module" });
  const start: SessionStart = { threads, webgpu: device === "webgpu" };
  worker.postMessage(start);
  return connect(portOf(worker), {
    device,
    target: device,
    threads,
    reason:
      device === "webgpu" ? "WebGPU" : `WebAssembly, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    profile: undefined,
  });
}

function portOf(worker: Worker): SessionPort {
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    onAnswer: (listener) =>
      worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => listener(data)),
    onEnd: (listener) =>
      worker.addEventListener("error", (event) => listener(event.message || "its worker ended")),
    setBusy: () => {},
    terminate: async () => worker.terminate(),
  };
}
