/** The type of the training options is that of the schema: written by a script, so that its keys have words. */
import { readFile } from "node:fs/promises";
import { expect, expectTypeOf, test } from "vitest";
import type { z } from "zod";
import type { TrainInput, TrainOptionName, trainSchema } from "../../packages/deit/src/config/schema.ts";
import { TRAIN_INPUT_FILE, trainInputSource } from "../../scripts/generate-train-input.ts";

/** As the formatter leaves it: lines are not broken within a comment or a type. */
const words = (source: string): string[] => source.split(/[\s|,]+/).filter((word) => word !== "");

test("train-input.ts is made of the schema as it is now (npm run types:options)", async () => {
  expect(words(await readFile(TRAIN_INPUT_FILE, "utf8"))).toEqual(words(trainInputSource()));
});

test("it has the schema's keys and takes what the schema takes", () => {
  expectTypeOf<keyof TrainInput>().toEqualTypeOf<TrainOptionName>();
  expectTypeOf<z.input<typeof trainSchema>>().toExtend<TrainInput>();
  type Loose<T> = T extends readonly [...infer Items] ? [...Items] : T;
  type Given = { [Key in keyof TrainInput]: Loose<TrainInput[Key]> };
  expectTypeOf<Given>().toExtend<z.input<typeof trainSchema>>();
});
