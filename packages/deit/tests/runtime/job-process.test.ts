/** What comes back from a job in a process of its own: results, messages, and errors with what is known of them. */
import { expect, test } from "vitest";
import { DeitError, DeviceError } from "../../src/errors.ts";
import { JobError, JobKilledError, runJob } from "../../src/runtime/job-process.ts";
import type { Ending } from "./job-child.ts";

interface Outcome {
  readonly messages: readonly unknown[];
  readonly result?: unknown;
  readonly error?: unknown;
}

async function outcomeOf(job: Ending, stopAtMessage = false): Promise<Outcome> {
  const messages: unknown[] = [];
  const controller = new AbortController();
  const onMessage = (message: unknown): void => {
    messages.push(message);
    if (stopAtMessage) controller.abort();
  };
  const options = { beside: import.meta.url, module: "job-child", job, onMessage, signal: controller.signal };
  return runJob(options).then(
    (result) => ({ messages, result }),
    (error: unknown) => ({ messages, error }),
  );
}

test("a result, after the messages", async () => {
  expect(await outcomeOf("result")).toEqual({ messages: [{ doing: "result" }], result: { answer: 42 } });
});

test.each([
  ["full", "there is no room\nTake less.", { device: "webgpu", hint: "Take less.", outOfMemory: true }],
  ["absent", "there is no such card", { device: "cuda", hint: undefined, outOfMemory: false }],
] as const)("an error of a device keeps what it says of it: %s", async (ending, message, facts) => {
  const { error } = await outcomeOf(ending);
  expect(error).toBeInstanceOf(JobError);
  expect(error).toMatchObject({ kind: "DeviceError", message, hint: facts.hint });
  const { cause } = error as JobError;
  expect(cause).toBeInstanceOf(DeviceError);
  expect(cause).toMatchObject({ message, ...facts });
});

test("another error that can be mended keeps its words, its hint and its name", async () => {
  const { error } = await outcomeOf("mistaken");
  expect(error).toBeInstanceOf(JobError);
  expect(error).toMatchObject({
    kind: "ConfigError",
    message: "lr is not a number\nGive one.",
    hint: "Give one.",
  });
  expect((error as JobError).cause).toBeInstanceOf(DeitError);
});

test("a job that is asked to stop says that it did", async () => {
  const { error } = await outcomeOf("stopped", true);
  expect(error).toMatchObject({ name: "JobError", kind: "AbortError" });
});

test("a bug comes with its stack, and is nothing that a user can mend", async () => {
  const { error } = await outcomeOf("bug");
  expect(error).not.toBeInstanceOf(DeitError);
  expect((error as Error).message).toMatch(/^TypeError: x is not a function\n +at .*job-child/);
});

test("a process that the system killed", async () => {
  const { error } = await outcomeOf("killed");
  expect(error).toBeInstanceOf(JobKilledError);
  expect(error).toMatchObject({ signal: "SIGKILL" });
});
