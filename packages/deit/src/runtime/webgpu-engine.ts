/**
 * State on a WebGPU device: outputs that replace state stay there as buffers and are fed to the next run; only
 * losses and the like come back. A vector goes up and comes down through a program that copies it, since
 * onnxruntime-node cannot create or read device tensors itself (`getData()` aborts the process).
 *
 * An output that is wanted on the host makes its run wait for the device. So those stay there, too, and come down when
 * they are asked for: a run returns when its work is handed over.
 */

import type { InferenceSession, Tensor } from "onnxruntime-node";
import { DeitError, DeviceError } from "../errors.ts";
import type { Program } from "../graph/program.ts";
import type { Engine, LoadedProgram } from "./engine.ts";
import { checkState, elementCount } from "./feeds.ts";
import { unknownState } from "./host-engine.ts";
import { identityModel } from "./identity-model.ts";
import type { SessionSettings } from "./messages.ts";
import type { TensorData } from "./runtime.ts";
import {
  hostData,
  hostTensor,
  isFallback,
  profilePrefix,
  sessionError,
  sessionOptions,
  unsupported,
} from "./sessions.ts";
import type { Surroundings } from "./sessions.ts";

interface DeviceState {
  /** Flat, on the device (empty vectors stay on the host: WebGPU has no empty buffers). */
  readonly tensor: Tensor;
  readonly length: number;
  /** Session that owns the memory. */
  readonly owner: InferenceSession;
}

/** An engine whose state lives in WebGPU buffers. */
export async function createWebgpuEngine(
  surroundings: Surroundings,
  settings: SessionSettings,
): Promise<Engine> {
  const { ort } = surroundings;
  const states = new Map<string, DeviceState>();
  const copySettings: SessionSettings = { ...settings, profile: undefined };
  const copy = { name: "copy", outputs: ["y"] };
  const up = await ort.InferenceSession.create(
    identityModel,
    sessionOptions(copySettings, { ...copy, deviceOutputs: ["y"] }),
  );
  const down = await ort.InferenceSession.create(identityModel, sessionOptions(copySettings, copy));

  /** The same memory under another shape; the state still owns it. */
  function shaped({ tensor }: DeviceState, shape: readonly number[]): Tensor {
    if (tensor.location !== "gpu-buffer") return new ort.Tensor("float32", new Float32Array(0), shape);
    return ort.Tensor.fromGpuBuffer(tensor.gpuBuffer, { dataType: "float32", dims: shape });
  }

  function replace(name: string, next: DeviceState): void {
    states.get(name)?.tensor.dispose();
    states.set(name, next);
  }

  /** Copies a vector, from the host or the device, into device memory that no program's session owns. */
  async function upload(vector: Tensor, length: number): Promise<DeviceState> {
    if (length === 0)
      return { tensor: new ort.Tensor("float32", new Float32Array(0), [0]), length, owner: up };
    const { y } = await up.run({ x: vector });
    if (y === undefined)
      throw new DeviceError("webgpu", "a vector could not be copied to the device", {
        code: "device/program-failed",
      });
    return { tensor: y, length, owner: up };
  }

  /** Waits for what the device was given so far, and copies a vector to the host. */
  async function download(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
    const x = ort.Tensor.fromGpuBuffer(tensor.gpuBuffer, { dataType: "float32", dims: [tensor.size] });
    const { y } = await down.run({ x });
    if (!(y?.data instanceof Float32Array))
      throw new DeviceError("webgpu", "a vector could not be read back from the device", {
        code: "device/program-failed",
      });
    return y.data.buffer instanceof ArrayBuffer ? (y.data as Float32Array<ArrayBuffer>) : y.data.slice();
  }

  async function load(program: Program): Promise<LoadedProgram> {
    const outputs = Object.keys(program.outputs);
    const updates = Object.entries(program.state).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    );
    // What copies vectors knows float32 alone.
    const deviceOutputs = Object.entries(program.outputs)
      .filter(([, { dtype, shape }]) => dtype === "float32" && elementCount(shape) > 0)
      .map(([name]) => name);
    const training = updates.length > 0;
    const options = sessionOptions(settings, { name: program.name, deviceOutputs, outputs, training });
    let session: InferenceSession;
    try {
      session = await ort.InferenceSession.create(program.model, options);
    } catch (error) {
      if (!isFallback(error)) throw sessionError("webgpu", program, "load", error);
      throw await fallbackError(surroundings, program);
    }
    return {
      async run(feeds) {
        const inputs: Record<string, Tensor> = {};
        for (const [name, type] of Object.entries(program.inputs)) {
          if (Object.hasOwn(program.state, name)) {
            const state = states.get(name);
            checkState(program, name, state?.length);
            if (state === undefined)
              throw new DeitError(`state "${name}" is not set`, { code: "program/state" });
            inputs[name] = shaped(state, type.shape);
          } else {
            const data = feeds[name];
            if (data !== undefined) inputs[name] = hostTensor(ort, type, data);
          }
        }
        let returned: Readonly<Record<string, Tensor>>;
        try {
          returned = await session.run(inputs);
        } catch (error) {
          throw sessionError("webgpu", program, "run", error);
        }
        for (const [name, output] of updates) {
          const tensor = returned[output];
          if (tensor !== undefined) replace(name, { tensor, length: tensor.size, owner: session });
        }
        const wanted = Object.entries(returned).filter(
          ([name]) => !updates.some(([, output]) => output === name),
        );
        return async () => {
          const results: Record<string, TensorData> = {};
          try {
            for (const [name, tensor] of wanted)
              results[name] = tensor.location === "gpu-buffer" ? await download(tensor) : hostData(tensor);
          } catch (error) {
            throw sessionError("webgpu", program, "read", error);
          } finally {
            for (const [, tensor] of wanted) tensor.dispose();
          }
          return results;
        };
      },
      async release() {
        // Buffers come from the session's allocator: move them before it goes.
        for (const [name, state] of states) {
          if (state.owner === session)
            replace(name, await upload(shaped(state, [state.length]), state.length));
        }
        if (settings.profile !== undefined) session.endProfiling();
        await session.release();
        if (settings.profile === undefined) return undefined;
        return surroundings.profileFile?.(profilePrefix(settings.profile, program.name));
      },
    };
  }

  return {
    runsAhead: true,
    load,
    async setState(name, value) {
      replace(name, await upload(new ort.Tensor("float32", value, [value.length]), value.length));
    },
    async getState(name) {
      const state = states.get(name);
      if (state === undefined) throw unknownState(name, states.keys());
      return state.length === 0 ? new Float32Array(0) : download(state.tensor);
    },
    async deleteState(name) {
      const state = states.get(name);
      if (state === undefined) throw unknownState(name, states.keys());
      state.tensor.dispose();
      states.delete(name);
    },
  };
}

async function fallbackError(surroundings: Surroundings, program: Program): Promise<DeviceError> {
  const named = await unsupported(surroundings, "webgpu", program);
  return new DeviceError(
    "webgpu",
    `program "${program.name}" cannot be loaded on webgpu: no kernel there for ${named}`,
    {
      code: "device/program-failed",
      hint: `They would run on the CPU, with copies at every step. The program was compiled for "${program.target}"; compile it for "webgpu".`,
    },
  );
}
