/** A report of a run folder as training leaves it, with class names that are hostile HTML. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { run as deit } from "../../src/cli/invocation.ts";
import { evaluateCheckpoint } from "../../src/evaluation/measure-checkpoints.ts";
import type { TrainInput } from "../../src/config/schema.ts";
import { createModel } from "../../src/models/registry.ts";
import { initialVectors, modelLayout, unpackTensors } from "../../src/nn/parameters.ts";
import { createRandom } from "../../src/random.ts";
import { present, ACCURACY, LOSS } from "../../src/report/page.ts";
import { reportRun } from "../../src/report/report.ts";
import type { ReportResult } from "../../src/report/report.ts";
import { openRunFolder } from "../../src/training/run/run-folder.ts";
import { temporaryFolder, writeImage } from "../data/temporary.ts";
import { tinyRun } from "../training/photos.ts";

const CLASSES = [`<script>alert("a")</script>`, "cats & dogs", `"quoted" onload='x'`];
const EPOCHS = 5;
const BEST = 3;

let root = "";
let run = "";
let options = tinyRun({ dataPath: "unset" });
let result: ReportResult;
let written = "";
/** `written` without the white space around tags. */
let page = "";

beforeAll(async () => {
  root = await temporaryFolder();
  const images = await writeImages(join(root, "a <b> folder"));
  run = join(root, "run");
  options = tinyRun({ dataPath: images, outputDir: run, valSplit: 0.5, epochs: EPOCHS });
  await writeRun(run);
  result = await reportRun(run);
  written = await readFile(result.report, "utf8");
  page = compact(written);
});

/** Without the white space that the layout of the source left around tags. */
function compact(document: string): string {
  return document
    .replaceAll(/[ \n]+/g, " ")
    .replaceAll(/(?<=<[^<>]*) (?=\/?>)/g, "")
    .replaceAll(/(?<=>) | (?=<)/g, "");
}

async function writeImages(folder: string): Promise<string> {
  const lines: string[] = [];
  for (let i = 0; i < 60; i++) {
    await writeImage(join(folder, `${i}.png`), 10 + i, 70 - i, "noise");
    lines.push(`${i}.png,${i % 3}`);
  }
  await writeFile(join(folder, "labels.csv"), lines.join("\n"));
  await writeFile(join(folder, "classes.json"), JSON.stringify(CLASSES));
  return folder;
}

/** A folder with weights drawn by chance; the head's are large, so that answers are sure and differ. */
async function writeRun(path: string, changes: TrainInput = {}): Promise<void> {
  const model = createModel(options.model, { numClasses: 3, inputSize: 16 });
  const layout = modelLayout(model);
  const tensors = unpackTensors(layout, initialVectors(layout, createRandom(5)));
  tensors.get("head.weight")?.data.forEach((value, i, data) => (data[i] = value * 200));
  await using folder = await openRunFolder(path, {
    args: { ...options, ...changes },
    versions: { "deit-ts": "1.2.3" },
    command: ["train", "./my photos", "--lr", "1e-3"],
  });
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    await folder.appendEpoch({
      epoch,
      train_loss: 2 - epoch / 10,
      train_lr: 1e-3 / (epoch + 1),
      ...(epoch !== 1 && {
        test_loss: 1.9,
        test_acc1: epoch === BEST ? 60 : 40,
        test_acc5: 100,
        test_ema_acc1: 50,
      }),
      n_parameters: 204_547,
      seconds: 25,
    });
  }
  await folder.saveModel("best", tensors, {
    model: model.name,
    classes: CLASSES,
    inputSize: [16, 16],
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    epoch: BEST,
    metrics: { acc1: 60 },
    extra: { crop_ratio: "0.875" },
  });
}

describe("the page", () => {
  test("has the figures of an evaluation", async () => {
    const { acc1, acc5, loss, images } = await evaluateCheckpoint({
      ...options,
      checkpoint: run,
      model: undefined,
    });
    expect(result).toMatchObject({ acc1, acc5, loss: expect.closeTo(loss, 5), images });
    expect(images).toBe(30);
    expect(page).toContain(`<b>${acc1.toFixed(2)}<small>%</small></b>`);
    expect(page).toContain("of 30 held-out images");
    expect(page).toMatch(/95 % interval \d+\.\d to \d+\.\d %/);
    expect(page).toContain("after epoch 4 of 5");
    expect(page).toContain("<dt>training time</dt><dd>2 min 5 s, 5 epochs</dd>");
    expect(page).toContain(`Expected calibration error: ${(100 * result.ece).toFixed(2)}\u00a0%`);
  });

  test("the matrix, the mistakes and the classes agree with top-1", () => {
    const text = (pattern: RegExp): number[][] =>
      [...page.matchAll(pattern)].map((match) => match.slice(1).map(Number));
    const counts = text(
      /<\/th><td class="number">(\d+)<\/td><td>.{0,160}?>([\d.]+)\u00a0%<\/span><\/span><\/td><td class="number">(\d+)</g,
    );
    expect(counts).toHaveLength(3);
    const sum = (of: (row: number[]) => number): number => counts.reduce((total, row) => total + of(row), 0);
    expect(sum(([images = 0]) => images)).toBe(30);
    expect(sum(([, , answers = 0]) => answers)).toBe(30);
    const right = Math.round(sum(([images = 0, recall = 0]) => (images * recall) / 100));
    expect((100 * right) / 30).toBeCloseTo(result.acc1, 10);
    const cells = text(/<td class="[a-z]*" title="(\d+) of \d+ images/g);
    expect(cells.reduce((total, [count = 0]) => total + count, 0)).toBe(30);
    const wrong = text(/<td class="number">(\d+)<\/td><td class="number">\d+\.\d\u00a0%<\/td><\/tr>/g);
    expect(wrong.reduce((total, [count = 0]) => total + count, 0)).toBe(30 - right);
  });

  test("is whole HTML, in which every element is closed", () => {
    expect(page).toMatch(/^<!doctype html><html lang="en">/);
    expect(unbalanced(page)).toEqual([]);
    expect(page).toContain(`<meta name="viewport" content="width=device-width, initial-scale=1"/>`);
    const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(page).not.toMatch(/undefined|NaN|\[object|Infinity/);
  });

  test("escapes what comes from users", () => {
    expect(page).not.toMatch(/<script/i);
    expect(page).toContain("&lt;script&gt;alert(&quot;a&quot;)&lt;/script&gt;");
    expect(page).toContain("cats &amp; dogs");
    expect(page.replaceAll(/"[^"]*"/g, `""`)).not.toMatch(/<[^>]*\son\w+=/); // quoted, it is a text
    expect(page).toContain("a &lt;b&gt; folder");
    const words = ["deit", "train", "&#39;./my photos&#39;", "--lr", "1e-3"];
    expect(written).toContain(
      `<pre>${words.map((word) => `<span class="word">${word}</span>`).join(" ")}</pre>`,
    );
  });

  test("needs no network", () => {
    const outside = page.replaceAll(/xmlns(:xlink)?="[^"]*"/g, "");
    expect(outside).not.toMatch(/https?:|url\(|@import|<link|<iframe/);
    expect(
      [...outside.matchAll(/\s(?:src|href)="([^"]{0,23})/g)].every(
        ([, at]) => at === "data:image/webp;base64,",
      ),
    ).toBe(true);
    expect(page).toContain("default-src 'none'");
  });

  test("draws three curves and the reliability, and shows images, options and machine", () => {
    expect(page.match(/<svg/g)).toHaveLength(4);
    expect(page).toContain("averaged weights");
    expect(page.match(/<img /g)?.length).toBeGreaterThan(12);
    expect(page).toMatch(
      /<tr class="changed"[^>]*><td><code>epochs<\/code><\/td><td class="name">5<\/td><td class="name muted">300<\/td>/,
    );
    expect(page).toContain(`<td class="name">1.2.3</td>`);
    expect(page).toContain('<td>2</td><td class="number">1.9000</td><td class="number">–</td>'); // not validated
  });
});

test("what was recorded decides, what is said of the machine does not change the figures", async () => {
  const { report: _, ...figures } = result;
  expect(await reportRun(run, { machine: { batchSize: 7, workers: 1, threads: 2 } })).toMatchObject({
    ...figures,
    loss: expect.closeTo(figures.loss, 6),
    ece: expect.closeTo(figures.ece, 6),
  });
});

test("tells how far it is, and stops when asked", async () => {
  const events: [number, number][] = [];
  await reportRun(run, {
    onEvent: (event) => event.type === "evaluate" && events.push([event.done, event.total]),
  });
  expect(events).toEqual([
    [8, 30],
    [16, 30],
    [24, 30],
    [30, 30],
  ]);
  const before = await readFile(result.report, "utf8");
  await expect(reportRun(run, { signal: AbortSignal.abort() })).rejects.toThrow("aborted");
  expect(await readFile(result.report, "utf8")).toBe(before);
});

test("deit report prints the path and the figures", async () => {
  const said: string[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => said.push(String(text)) > 0);
  expect(await deit(["report", run, "--json"])).toBe(0);
  vi.restoreAllMocks();
  expect(JSON.parse(said.join(""))).toEqual(result);
});

test("without validation images it says what it measured", async () => {
  const other = join(root, "on-training");
  await writeRun(other, { valSplit: 0, outputDir: other });
  const { report, images } = await reportRun(other);
  expect(images).toBe(60);
  const page = await readFile(report, "utf8");
  expect(page).toContain("images that it was trained on, since none were held out");
  expect(page).not.toContain("95 % interval");
});

test("images of other classes, a run without a model and a folder that is not a run are refused", async () => {
  const changed = join(root, "changed");
  const images = await writeImages(join(root, "images"));
  await writeRun(changed, { dataPath: images, outputDir: changed });
  await writeFile(join(images, "classes.json"), JSON.stringify(["x", "y", "z"]));
  await expect(reportRun(changed)).rejects.toThrow(/other classes than this run was trained on/);
  await rm(join(changed, "best.safetensors"));
  await expect(reportRun(changed)).rejects.toThrow(/writes them after its first epoch/);
  await mkdir(join(root, "empty"));
  await expect(reportRun(join(root, "empty"))).rejects.toThrow(/not a run folder/);
});

test("only the series that a log has are drawn", () => {
  const log = [{ epoch: 0, train_loss: 1, train_lr: 1, test_acc1: 3, n_parameters: 1 }];
  expect([...present(log, LOSS), ...present(log, ACCURACY)].map(({ key }) => key)).toEqual([
    "train_loss",
    "test_acc1",
  ]);
});

const VOID = new Set(["meta", "img", "br", "link", "!doctype"]);

/** Elements that are opened or closed without the other, in a page whose text has no bare "<". */
function unbalanced(document: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const body = document.replace(/<style>[^]*?<\/style>/, "");
  for (const [tag, slash, name = "", attributes = ""] of body.matchAll(
    /<(\/?)([a-z!][\w-]*)((?:\s+[\w:-]+(?:="[^"<]*")?)*\s*\/?)>|<[^>]*>?/gi,
  )) {
    if (name === "") wrong.push(tag);
    else if (VOID.has(name.toLowerCase()) || attributes.endsWith("/")) continue;
    else if (slash === "") open.push(name);
    else if (open.pop() !== name) wrong.push(tag);
  }
  return [...wrong, ...open];
}
