import { afterEach, describe, expect, it, vi } from "vitest";
import { createOutput } from "../../src/cli/output.ts";
import { createProgress, rateMeter } from "../../src/cli/views/progress-line.ts";
import { trainingView } from "../../src/cli/views/training-view.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function capture(): { text: () => string } {
  let text = "";
  vi.spyOn(process.stderr, "write").mockImplementation((part) => ((text += String(part)), true));
  return { text: () => text };
}

const start = {
  type: "start",
  run: "runs/a",
  model: "deit_w64d4_patch4_32",
  parameters: 208_074,
  device: "cpu, 2 threads",
  trainImages: 900,
  uniqueImages: 900,
  repeats: 1,
  valImages: 125,
  heldOut: 125,
  selection: "best",
  classes: 3,
  stepsPerEpoch: 100,
  epochs: 12,
} as const;
const step = {
  type: "step",
  steps: 100,
  loss: 2.345,
  losses: { loss: 2.345 },
  skipped: 0,
  lr: 1e-3,
  imagesPerSecond: 512.4,
  secondsLeft: 200,
} as const;
const epoch = {
  type: "epoch",
  epochs: 12,
  trainLoss: 2,
  testLoss: 1.5,
  acc1: 45.6,
  acc5: 91,
  seconds: 34.2,
  waitingSeconds: 0.1,
} as const;

describe("training without a terminal", () => {
  it("counts one epoch as one", () => {
    const said = capture();
    const { show, stop } = trainingView(createOutput());
    show({ ...start, epochs: 1 });
    stop();
    expect(said.text()).toContain("steps an epoch, 1 epoch; run folder");
  });

  it("prints the start, each epoch, warnings, and a sparse line every ten seconds", () => {
    vi.useFakeTimers();
    const said = capture();
    const { show, stop } = trainingView(createOutput());
    show({ ...start, uniqueImages: 300, repeats: 3, resumedFrom: { epoch: 2, step: 7 } });
    for (let i = 0; i < 100; i++) {
      show({ ...step, epoch: 2, step: i });
      vi.advanceTimersByTime(210);
    }
    show({ type: "evaluate", done: 50, total: 100 });
    show({ ...epoch, epoch: 2, best: true });
    show({ ...epoch, epoch: 3, averageAcc1: 47.25, best: true });
    show({ type: "warning", message: "2 images cannot be read" });
    show({ type: "warning", message: "2 images cannot be read" }); // of a later part of the command
    show({ type: "saved", path: "runs/a/state.safetensors" });
    stop();
    expect(said.text().split("\n")).toEqual([
      "deit_w64d4_patch4_32: 208,074 parameters; cpu, 2 threads",
      "900 images to train, 125 held out to validate, 3 classes; 100 steps an epoch, 12 epochs; run folder runs/a",
      "repeated augmentation: an epoch shows 300 different images, several times each",
      "resuming from epoch 3, step 7",
      "epoch 3/12 48%  loss 2.345, 512 images/s, 3 min 20 s left",
      "epoch 3/12 96%  loss 2.345, 512 images/s, 3 min 20 s left",
      "epoch  3/12  loss 2.000  val 1.500  top-1  45.60 % (57 of 125)  34 s  best",
      "epoch  4/12  loss 2.000  val 1.500  top-1  45.60 %  average  47.25 %  34 s  best",
      "warning: 2 images cannot be read",
      "",
    ]);
  });
});

it.each([
  [20, "20 held-out images are too few to choose an epoch by"],
  [10_000, "best.safetensors will be the last epoch"],
])("of %i held-out images says why the last epoch is kept", (heldOut, words) => {
  const said = capture();
  const { show, stop } = trainingView(createOutput());
  show({ ...start, valImages: heldOut, heldOut, selection: "last" });
  stop();
  expect(said.text()).toContain(words);
});

describe("the line of an epoch", () => {
  const start = {
    type: "start",
    run: "r",
    model: "m",
    parameters: 1,
    device: "d",
    trainImages: 9,
    uniqueImages: 9,
    repeats: 1,
    valImages: 50_000,
    heldOut: 50_000,
    selection: "best",
    classes: 10,
    stepsPerEpoch: 1,
    epochs: 300,
  } as const;
  const line = (columns: number | undefined, changes: object = {}, classes = 10): string => {
    const said = capture();
    Object.defineProperty(process.stderr, "columns", { value: columns, configurable: true });
    const { show, stop } = trainingView(createOutput());
    show({ ...start, classes });
    show({ ...epoch, epochs: 300, epoch: 299, best: true, ...changes });
    stop();
    Reflect.deleteProperty(process.stderr, "columns");
    return said.text().split("\n").at(-2) ?? "";
  };

  it("says all where there is room for it", () => {
    expect(line(120)).toBe(
      "epoch 300/300  loss 2.000  val 1.500  top-1  45.60 % (22,800 of 50,000)  top-5  91.00 %  34 s  best",
    );
  });

  it("of five classes it says no top-5, which is always 100 %", () => {
    expect(line(120, {}, 5)).not.toContain("top-5");
  });

  it.each([
    {},
    { averageAcc1: 100, acc1: 100, acc5: 100 },
    { averageAcc1: 100, acc1: 100, seconds: 80_000, trainLoss: 12.5, testLoss: 12.5 },
    { testLoss: Number.NaN, seconds: 80_000 },
  ])("fits 80 columns, and says at least loss, top-1 and time: %j", (changes) => {
    for (const columns of [80, undefined]) {
      const text = line(columns, changes);
      expect(text.length).toBeLessThanOrEqual(80);
      expect(text).toMatch(/^epoch 300\/300 {2}loss \d.* {2}(top-1|not validated).*(s|min) {2}best$/);
    }
  });
});

describe("progress on a terminal", () => {
  it("draws a bar, prints lines above it and takes it away", () => {
    let text = "";
    const terminal = { isTTY: true, columns: 100, write: (part: string) => ((text += part), true) };
    const progress = createProgress("epoch 1/3", terminal as unknown as NodeJS.WriteStream);
    progress.update(30, 100, "loss 2.0");
    progress.line("a line");
    progress.update(40, 100, "loss 1.9");
    progress.stop();
    progress.stop();
    expect(text).toContain("epoch 1/3");
    expect(text).toContain("30%");
    expect(text).toContain("a line\n");
  });
});

it("the rate meter tells rate and time left", () => {
  vi.useFakeTimers();
  const meter = rateMeter("images");
  vi.advanceTimersByTime(2000);
  expect(meter(100, 400)).toBe("50 images/s, 6.0 s left");
  expect(meter(0, 400)).toContain("0.0 images/s");
});
