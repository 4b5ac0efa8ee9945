/** The programs of examples/ are short, and do what they say. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as ort from "onnxruntime-node";
import { openClassifier, readImage } from "deit-ts";
import { beforeAll, expect, test } from "vitest";
import { loadClassifier } from "../examples/browser-classifier.ts";
import { bundleForBrowser } from "../packages/deit/tests/helpers/bundle.ts";
import { temporaryFolder } from "../packages/deit/tests/data/temporary.ts";
import { writePhotos } from "../packages/deit/tests/training/photos.ts";

const EXAMPLES = fileURLToPath(new URL("../examples", import.meta.url));
const FLAGS = ["--conditions=deit-source", "--disable-warning=ExperimentalWarning"];

let folder = "";
let photos = "";
/** What own-loop.ts has trained and saved. */
let model = "";
let printed = "";
beforeAll(async () => {
  folder = await temporaryFolder();
  photos = await writePhotos(join(folder, "photos"), { perClass: 30 });
  model = join(folder, "own.safetensors");
  printed = await run("own-loop.ts", photos, model, "12");
}, 120_000);

async function run(example: string, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...FLAGS, join(EXAMPLES, example), ...words],
    { cwd: folder },
  );
  return stdout;
}

test("each is under 40 lines", async () => {
  for (const file of await readdir(EXAMPLES))
    expect((await readFile(join(EXAMPLES, file), "utf8")).split("\n").length, file).toBeLessThanOrEqual(40);
});

test("own-loop: it learns, and the saved model answers", () => {
  const losses = [...printed.matchAll(/loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
  expect(losses.length).toBeGreaterThan(3);
  expect(losses.at(-1)).toBeLessThan(0.7 * Math.log(3)); // ln 3 before the first update
  // Nine images of three classes: a third is right for a model that learned nothing.
  expect(Number(/top-1: ([\d.]+) %/.exec(printed)?.[1])).toBeGreaterThan(60);
});

test("regression: a sine is learned", async () => {
  const losses = [...(await run("regression.ts")).matchAll(/loss ([\d.e-]+)/g)].map(([, loss]) =>
    Number(loss),
  );
  expect(losses).toHaveLength(5);
  expect(losses.at(-1)).toBeLessThan(0.01);
  expect(losses[0]).toBeGreaterThan(0.1);
});

test("own-dataset: learns made-up images, with its metric", { timeout: 120_000 }, async () => {
  const text = await run("own-dataset.ts", "6");
  expect(text).toMatch(/^6 \d+(\.\d+)? \{ recall: (0|1|0\.\d+) \}$/m);
  expect(text).toMatch(/^checks,stripes: 1[12] of 12 held-out images are right$/m); // chance: 6
});

test("classify-server: answers for an image, and says what is none", async () => {
  const server = spawn(process.execPath, [...FLAGS, join(EXAMPLES, "classify-server.ts"), model, "0"], {
    cwd: folder,
  });
  try {
    const [line] = (await once(server.stdout, "data")) as [Buffer];
    const address = /http:\/\/localhost:\d+/.exec(String(line))?.[0] ?? "";
    const post = async (body: Uint8Array): Promise<Response> =>
      fetch(address, { method: "POST", body: new Blob([new Uint8Array(body)]) });
    const answer = await post(await readFile(join(photos, "disc/0.png")));
    await using classifier = await openClassifier(model);
    expect(await answer.json()).toEqual(await classifier.classify(join(photos, "disc/0.png"), { topk: 3 }));
    const refused = await post(new TextEncoder().encode("no image"));
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ code: "data/broken-image" });
  } finally {
    server.kill();
  }
});

test("browser-classifier: bundles for a browser, and answers as the library does", async () => {
  const { foreign } = await bundleForBrowser("../../examples/browser-classifier.ts");
  expect(foreign).toEqual([]);
  const classify = await loadClassifier(ort, await readFile(model));
  await using classifier = await openClassifier(model);
  const image = await readImage(join(photos, "ring/1.png"));
  const [own, theirs] = [await classify(image), await classifier.classify(image, { topk: 3 })];
  expect(own.map(({ label }) => label)).toEqual(theirs.map(({ label }) => label));
  for (const [i, { score }] of own.entries()) expect(score).toBeCloseTo(theirs[i]?.score ?? NaN, 4);
});
