/** Damaged and hostile data is read or refused with a code: no stack trace, no rejection that nobody handles. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { decodeImage } from "../../src/data/decoding/decode.ts";
import { openDatasets } from "../../src/data/open.ts";
import { DataError } from "../../src/errors.ts";
import { image, temporaryFolder, writeClasses, writeImage, writeText } from "./temporary.ts";

async function code(promise: Promise<unknown>): Promise<string> {
  const error = await promise.catch((cause: unknown) => cause);
  if (error instanceof DataError) return error.code;
  throw new Error(`no DataError: ${String(error)}`);
}

it("Parquet that counts rows which are not there, or places columns outside", async () => {
  const folder = await temporaryFolder();
  const bytes = new Uint8Array(await image(9, 9).png().toBuffer());
  const columnData = [
    { name: "image", data: Array.from({ length: 20 }, () => bytes), type: "BYTE_ARRAY" as const },
    { name: "label", data: Array.from({ length: 20 }, (_, i) => i % 2) },
  ];
  const whole = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 5 }));
  const path = join(folder, "t.parquet");
  for (const part of [0.1, 0.5, 0.9, 0.999]) {
    await writeFile(path, whole.subarray(0, Math.floor(part * whole.length)));
    expect(await code(openDatasets({ dataPath: path }))).toBe("data/damaged");
  }
  // the pages of the images, which are read after the table
  const broken = Uint8Array.from(whole, (byte, i) => (i > 4 && i < 40 ? 0xff : byte));
  await writeFile(path, broken);
  expect(await code(openDatasets({ dataPath: path }))).toBe("data/damaged");
  await writeFile(path, whole); // and the next file is read
  expect((await openDatasets({ dataPath: path, valSplit: 0 })).train.length).toBe(20);
});

it.each(["constructor", "__proto__", "toString", "hasOwnProperty", "length"])(
  "a class may be called %s, in folders, lists and tables",
  async (name) => {
    const path = await temporaryFolder();
    await mkdir(join(path, name), { recursive: true });
    for (const i of [0, 1]) await writeImage(join(path, name, `${i}.png`));
    await writeClasses(path, { plumber: 2 });
    const { train } = await openDatasets({ dataPath: path, valSplit: 0 });
    expect(train.classes).toEqual(["plumber", name].toSorted());
    expect([...train.labels].toSorted((a, b) => a - b)).toEqual([0, 0, 1, 1]);
    const list = join(path, "list.jsonl");
    await writeText(
      list,
      `{"file_name": "${name}/0.png", "label": "${name}", "__proto__": 1}\n{"file_name": "plumber/0.png", "label": "plumber"}`,
    );
    expect((await openDatasets({ dataPath: list, valSplit: 0 })).train.classes).toEqual(train.classes);
  },
);

it("a list of deeply nested JSON, of huge cells, of a class without number", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "metadata.jsonl");
  await writeText(path, `{"file_name": ${"[".repeat(200_000)}`);
  expect(await code(openDatasets({ dataPath: path }))).toBe("data/bad-row");
  await writeText(
    path,
    `{"file_name": "${"x".repeat(3e6)}", "label": "a"}\n{"file_name": "y", "label": "b"}`,
  );
  const error = await openDatasets({ dataPath: path }).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: "data/missing-file" });
  expect(String(error).length).toBeLessThan(10_000);
  const numbers = await temporaryFolder();
  await writeText(join(numbers, "labels.csv"), "a.png,99999999999999999999\n");
  await writeImage(join(numbers, "a.png"));
  expect(await code(openDatasets({ dataPath: numbers }))).toBe("data/bad-row");
});

const cases = new URL("../../../../../shared/cases/", import.meta.url);
describe.skipIf(!existsSync(cases))("cases (need ../shared/cases)", () => {
  const at = (name: string): string => fileURLToPath(new URL(name, cases));

  it("damaged.parquet, labels-huge, bomb.webp, class-constructor", async () => {
    expect(await code(openDatasets({ dataPath: at("parquet/damaged.parquet") }))).toBe("data/damaged");
    expect(await code(openDatasets({ dataPath: at("labels-huge") }))).toBe("data/bad-row");
    const bomb = await readFile(at("pictures/bomb.webp"));
    const codes = await Promise.all([1, 2, 3, 4].map(async (i) => code(decodeImage(bomb, `${i}.webp`))));
    expect(new Set(codes)).toEqual(new Set(["data/image-too-large"]));
    const { train } = await openDatasets({ dataPath: at("class-constructor"), valSplit: 0 });
    expect(train.classes).toEqual(["constructor", "plumber"]);
  });
});
