/** Codes are names of problems: well formed, told once, and each used somewhere. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ERROR_CODES } from "../src/error-codes.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const sources = globSync("*/src/**/*.ts", { cwd: root })
  .filter((file) => !file.endsWith("error-codes.ts"))
  .map((file) => readFileSync(`${root}${file}`, "utf8"))
  .join("\n");

test.each(Object.entries(ERROR_CODES))("%s: %s", (code, meaning) => {
  expect(code).toMatch(/^(?:[a-z]+\/[a-z0-9-]+|internal)$/);
  expect(meaning.length).toBeGreaterThan(10);
  expect(sources).toContain(`"${code}"`);
});
