/** ONNX Runtime's messages (recorded ones of 1.30) in our words. */

import { describe, expect, test } from "vitest";
import { nodesInLog } from "../../src/runtime/probe.ts";
import { sessionError, sessionOptions } from "../../src/runtime/sessions.ts";
import { accumulate, double, scale } from "./programs.ts";

const program = double("cpu", [1]);

describe("sessionError", () => {
  test("names program and node, without positions in ONNX Runtime's source", () => {
    const error = sessionError(
      "cpu",
      program,
      "run",
      new Error(
        "Non-zero status code returned while running Reshape node. Name:'the/reshape' Status Message: " +
          "/onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper" +
          "(const onnxruntime::TensorShape&, bool) input_shape_size == requested_shape_size was false. " +
          "The input tensor cannot be reshaped to the requested shape. Input shape:{4,4}, requested shape:{3,3}\n",
      ),
    );
    expect(error.message).toBe(
      'program "double" failed on cpu at node "the/reshape" (Reshape): The input tensor cannot be reshaped to the ' +
        "requested shape. Input shape:{4,4}, requested shape:{3,3}",
    );
  });

  test("out of memory says what to make smaller", () => {
    const error = sessionError(
      "cpu",
      program,
      "run",
      new Error(
        "Non-zero status code returned while running Gemm node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:359 " +
          "void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 1600000000000\n",
      ),
    );
    expect(error.message).toContain(
      'node "" (Gemm): Failed to allocate memory for requested buffer of size 1600000000000',
    );
    expect(error.hint).toContain("smaller batch size");
    expect(error.outOfMemory).toBe(true);
  });

  test.each([
    [
      "a buffer that could not be made",
      "WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.",
      true,
    ],
    [
      "a size beyond 32 bits",
      "Non-zero status code returned while running Expand node. Name:'expand_0' Status Message: narrowing_error",
      true,
    ],
    ["an allocation that threw", "std::bad_alloc", true],
    [
      "a buffer that the device has no room for",
      "Failed to create GPU buffer: size=1610612736, usage=140",
      true,
    ],
    [
      "a binding beyond the limit",
      "Binding size (2147483648) is larger than the maximum storage buffer binding size (134217728).",
      true,
    ],
    ["Vulkan", "vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY", true],
    ["cuBLAS", "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=h", true],
    ["cuDNN", "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=h", true],
    ["a driver's fault in cuBLAS", "CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ; GPU=0", false],
    ["a lost device", "[Device] is lost.", false],
    ["a shape", "The input tensor cannot be reshaped to the requested shape. Input shape:{4,4}", false],
  ])("%s: out of memory or not", (_, message, outOfMemory) => {
    expect(sessionError("webgpu", program, "run", new Error(message)).outOfMemory).toBe(outOfMemory);
  });

  test.each([
    "[Device] is lost.",
    "A valid external Instance reference no longer exists. Device was lost",
    "vkQueueSubmit failed with VK_ERROR_DEVICE_LOST",
  ])("a lost device has words of its own: %s", (message) => {
    const { hint } = sessionError("webgpu", program, "run", new Error(message));
    expect(hint).toMatch(/^The device was lost, and what was on it/);
  });

  test("results that did not fit come after an update, so it is not said that nothing was changed", () => {
    const full = new Error("Failed to create GPU buffer: size=4");
    const error = sessionError("webgpu", accumulate("webgpu", 1), "read", full);
    expect(error.outOfMemory).toBe(false);
    // where there is no update, there is none before them
    for (const still of [program, scale("webgpu", 1)])
      expect(sessionError("webgpu", still, "read", full).outOfMemory).toBe(true);
    expect(error.message).toMatch(
      /ran, and its results cannot be read on webgpu.*\nThe memory of the device/s,
    );
  });
});

describe("nodes on the CPU", () => {
  test.each(["webgpu", "cuda"] as const)("are an error on %s, unless they are allowed", (device) => {
    const session = (fallback: boolean): unknown =>
      sessionOptions({ device, threads: 1, profile: undefined }, { name: "x", fallback }).extra?.["session"];
    expect(session(false)).toMatchObject({ disable_cpu_ep_fallback: "1" });
    expect(session(true)).not.toHaveProperty("disable_cpu_ep_fallback");
  });

  test("are no question on the CPU", () => {
    const { extra } = sessionOptions({ device: "cpu", threads: 1, profile: undefined }, { name: "x" });
    expect(extra?.["session"]).toEqual({ force_spinning_stop: "1", set_denormal_as_zero: "1" });
  });

  test("are read from a log", () => {
    const log = [
      "[I:onnxruntime:, cuda_execution_provider.cc:2922 GetCapability] CUDA kernel not found in registries for Op type: Pad node name: optimizer/pad_3",
      "[W:onnxruntime:, cuda_execution_provider.cc:2960 GetCapability] CUDA kernel not supported. Fallback to CPU execution provider for Op type: Conv node name: stem/conv 1",
      "[I:onnxruntime:, fallback_cpu_capability.cc:170 GetCpuPreferredNodes] ORT optimization- Force fallback to CPU execution for node: gather_5 because the CPU execution path is deemed faster than overhead involved with execution on other EPs  capable of executing this node",
      "[V:onnxruntime:, session_state.cc:1] All nodes placed on [CUDAExecutionProvider].",
    ].join("\n");
    expect(nodesInLog(log)).toEqual(['Pad "optimizer/pad_3"', 'Conv "stem/conv 1"', '"gather_5"']);
    expect(nodesInLog("[I] nothing of the kind")).toBeUndefined();
  });
});
