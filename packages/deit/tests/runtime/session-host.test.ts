/** The worker's side: what it starts before it waits, and that answers come in the order of the requests. */

import { describe, expect, test } from "vitest";
import type { Answer, Request } from "../../src/runtime/messages.ts";
import { createSessionHost } from "../../src/runtime/session-host.ts";
import { devices } from "../helpers/devices.ts";
import { accumulate } from "./programs.ts";
import { recordingRuntime } from "./recording.ts";
import type { RecordedRun } from "./recording.ts";

/** A host with the program `accumulate` loaded as 0, its state w zero. */
async function openHost(device: "cpu" | "webgpu"): Promise<{
  /** Sends all of them at once; resolves with the answers, in the order in which they came. */
  ask(...requests: Request[]): Promise<Answer[]>;
  /** Runs of ONNX Runtime so far. */
  readonly runs: RecordedRun[];
  /** Bytes of the program that the host still holds. */
  readonly bytesLeft: number;
}> {
  const runs: RecordedRun[] = [];
  let answers: Answer[] = [];
  let onAnswer = (): void => {};
  const handle = createSessionHost({ ort: recordingRuntime(runs) }, (answer) => {
    answers.push(answer);
    onAnswer();
  });
  let id = 0;
  const ask = async (...requests: Request[]): Promise<Answer[]> => {
    answers = [];
    const all = new Promise<void>((resolve) => {
      onAnswer = () => answers.length === requests.length && resolve();
    });
    for (const request of requests) handle({ id: id++, request });
    await all;
    return answers;
  };
  const { name, target, model, inputs, outputs, state } = accumulate(device, 4);
  await ask(
    { type: "open", settings: { device, threads: 1, profile: undefined } },
    { type: "load", handle: 0, program: { name, target, model, inputs, outputs, state } },
    { type: "setState", name: "w", value: new Float32Array(4) },
  );
  runs.length = 0;
  return { ask, runs, bytesLeft: model.byteLength };
}

const run = (x: number): Request => ({ type: "run", handle: 0, feeds: { x: new Float32Array(4).fill(x) } });
const getW: Request = { type: "getState", name: "w" };

/** The one number of an answer, or its error. */
function content(answer: Answer): number | string | undefined {
  if ("error" in answer) return answer.error.message;
  if (answer.value instanceof Float32Array) return answer.value[0];
  if (typeof answer.value !== "object" || !("average" in answer.value)) return undefined;
  return Number(answer.value.average?.[0]);
}

describe.each(devices)("session host on %s", (device) => {
  test("the bytes of a program are let go when its session is there", async () => {
    const { ask, bytesLeft } = await openHost(device);
    expect(bytesLeft).toBe(0);
    expect((await ask(run(1))).map(content)).toEqual([1]);
  });

  test("answers come in the order of the requests, whatever is started ahead", async () => {
    const { ask } = await openHost(device);
    const wrong: Request = { type: "run", handle: 1, feeds: {} };
    const answers = await ask(run(1), run(2), getW, run(3), run(4), run(5), run(6), run(7), wrong, run(8));
    expect(answers.map(({ id }) => id - (answers[0]?.id ?? 0))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(answers.map(content)).toEqual([
      1,
      3,
      3,
      6,
      10,
      15,
      21,
      28,
      "this program was released, or it failed to load",
      36,
    ]);
  });
});

describe.each(devices)("a group of runs on %s", (device) => {
  test("ends at the first that fails; other groups and other runs go on", async () => {
    const { ask } = await openHost(device);
    const inGroup = (group: number, x: number): Request => ({ ...run(x), group }) as Request;
    const wrong: Request = { type: "run", handle: 1, feeds: {}, group: 7 };
    const answers = await ask(
      inGroup(7, 1),
      wrong,
      inGroup(7, 2),
      inGroup(8, 10),
      inGroup(7, 4),
      run(20),
      getW,
    );
    const why = "this program was released, or it failed to load";
    expect(answers.map(content)).toEqual([1, why, why, 11, why, 31, 31]);
  });
});

const at = (answer: Answer | undefined): number => Number(answer && content(answer));

describe.skipIf(!devices.includes("webgpu"))("on webgpu", () => {
  test("runs that wait are uploaded and started before results are read, four at most", async () => {
    const { ask, runs } = await openHost("webgpu");
    const answers = await ask(...[1, 2, 3, 4, 5, 6].map(run));
    expect(at(answers.at(-1))).toBe(21);
    // Runs of the program take x from the host; what reads a result takes it from the device.
    const kinds = runs.map(({ fed }) => (fed["x"] === "cpu" ? "start" : "read"));
    expect(kinds.join(" ")).toBe("start start start start read read read read start start read read");
  });

  test("a run that nothing follows is answered at once", async () => {
    const { ask } = await openHost("webgpu");
    expect((await ask(run(5))).map(content)).toEqual([5]);
  });
});
