/** docs/api.md is made of the sources as they are now. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { API_FILE, apiReference, MARKER } from "../../scripts/api-reference.ts";

test("the reference is up to date (npm run docs:api)", async () => {
  const [, made] = (await readFile(API_FILE, "utf8")).split(MARKER);
  expect(made).toBe(await apiReference());
});

test("every function has words, and its declaration without its body", async () => {
  const text = await apiReference();
  expect(text).toContain("### train\n\n```ts\nasync function train(");
  expect(text).toMatch(/### train\n\n```ts\n[^`]*Promise<TrainResult>\n```\n\nTrains a model as/);
});
