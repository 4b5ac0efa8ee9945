/** Class names through a real tokenizer and text encoder (tests/golden/clip-text/record.py), as transformers computes them. */
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test, vi } from "vitest";
import { embedTexts } from "../../src/export/text-embeddings.ts";
import * as transformers from "../../src/export/transformers-js.ts";
import { temporaryFolder } from "../data/temporary.ts";

const golden = fileURLToPath(new URL("../golden/clip-text/", import.meta.url));

let recorded: { readonly texts: readonly string[]; readonly embeddings: readonly (readonly number[])[] };
let root = "";
beforeAll(async () => {
  recorded = JSON.parse(await readFile(join(golden, "embeddings.json"), "utf8"));
  root = await temporaryFolder();
});

test("texts become what the encoder was recorded with, and the prompt is filled in", async () => {
  const words = recorded.texts.slice(0, 3).map((text) => text.replace("a photo of a ", ""));
  const found = await embedTexts(golden, { classes: words, prompt: "a photo of a {}" });
  expect([found.width, found.classes]).toEqual([12, words]);
  for (const [i, x] of found.data.entries())
    expect(x).toBeCloseTo(recorded.embeddings[Math.floor(i / 12)]?.[i % 12] ?? NaN, 4);
  const whole = await embedTexts(golden, { classes: recorded.texts, prompt: "{}" });
  for (const [i, x] of whole.data.entries())
    expect(x).toBeCloseTo(recorded.embeddings[Math.floor(i / 12)]?.[i % 12] ?? NaN, 4);
});

test("a prompt without a place for the class is refused", async () => {
  await expect(embedTexts(golden, { classes: ["a", "b"], prompt: "a photo" })).rejects.toMatchObject({
    code: "options/value",
  });
});

test("a text that is too long is refused, not cut off", async () => {
  const classes = ["cat", "a cat that sits behind a dog and looks at an owl"];
  await expect(embedTexts(golden, { classes, prompt: "a photo of {}" })).rejects.toMatchObject({
    code: "options/value",
    message: expect.stringContaining("at most 16"),
  });
});

test("a folder without an encoder is refused: no settings, another kind, no tokenizer", async () => {
  const ask = { classes: ["a", "b"], prompt: "{}" };
  await expect(embedTexts(root, ask)).rejects.toMatchObject({
    code: "teacher/no-text-encoder",
    message: expect.stringContaining("there is no config.json"),
  });
  const other = join(root, "bert");
  await mkdir(other);
  await writeFile(join(other, "config.json"), '{"model_type": "bert"}');
  await expect(embedTexts(other, ask)).rejects.toMatchObject({ code: "teacher/no-text-encoder" });
  const halved = join(root, "halved");
  await cp(golden, halved, { recursive: true });
  await rm(join(halved, "tokenizer.json"));
  await expect(embedTexts(halved, ask)).rejects.toMatchObject({ code: "teacher/no-text-encoder" });
});

test("without the optional package it is said how to get it, and what else there is", async () => {
  const load = vi.spyOn(transformers, "loadTransformersJs").mockResolvedValue(undefined);
  await expect(embedTexts(golden, { classes: ["a", "b"], prompt: "{}" })).rejects.toMatchObject({
    code: "teacher/no-text-encoder",
    hint: expect.stringContaining("npm install @huggingface/transformers"),
  });
  load.mockRestore();
});
