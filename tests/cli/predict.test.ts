/** `deit predict` from end to end: what goes to stdout, to files and to stderr. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import sharp from "sharp";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../data/temporary.ts";
import { writeRandomModel } from "../helpers/random-model.ts";
import { writePhotos } from "../training/photos.ts";
import type { Outcome } from "./run-command.ts";
import { runCommand } from "./run-command.ts";

let root = "";
let photos = "";
let model = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 3 });
  await rename(join(photos, "disc/2.png"), join(photos, 'disc/a "b", c.png'));
  await mkdir(join(root, "mixed"));
  await writeFile(join(root, "mixed/bad.jpg"), "no picture");
  await sharp({ create: { width: 9, height: 9, channels: 3, background: "red" } }).toFile(
    join(root, "mixed/good.png"),
  );
  model = join(root, "model.safetensors");
  const classes = ["a disc", "ring, round", "stripes"];
  await writeRandomModel(model, { model: "deit_w64d4_patch4_32", inputSize: 16, classes });
});

async function predict(...words: string[]): Promise<Outcome> {
  return runCommand(["predict", model, ...words, "--device", "cpu", "--threads", "1"]);
}

interface Result {
  readonly image: string;
  readonly predictions: readonly { readonly index: number; readonly label: string; readonly score: number }[];
}

it("prints a table with a line for each picture that says what --json says", async () => {
  const [json, table] = [await predict(photos, "--json"), await predict(photos, "--csv")];
  expect([json.code, table.code, json.err, table.err]).toEqual([0, 0, "", ""]);
  const results = JSON.parse(json.out) as Result[];
  expect(results).toHaveLength(9);
  const rows = parse(table.out);
  expect(rows[0]).toEqual(["file", "label", "score", "label_2", "score_2", "label_3", "score_3"]);
  expect(rows.slice(1)).toEqual(
    results.map(({ image, predictions }) => [
      image,
      ...predictions.flatMap(({ label, score }) => [label, score.toFixed(6)]),
    ]),
  );
  expect(table.out).toContain('a ""b"", c.png",');
});

it("writes table and sheet to files, and names what it cannot read", async () => {
  const [out, sheet] = [join(root, "answers.csv"), join(root, "sheet.jpg")];
  const glob = join(root, "mixed/*");
  const { code, out: text, err } = await predict(glob, "--topk", "1", "--out", out, "--sheet", sheet);
  expect([code, text]).toEqual([0, ""]);
  expect(err.split("\n")).toEqual([
    expect.stringMatching(/^warning: .*bad\.jpg is not a whole image/),
    `sheet of 1 image: ${sheet}`,
    `table of 1 image: ${out}`,
    "",
  ]);
  expect(parse(await readFile(out, "utf8"))).toEqual([
    ["file", "label", "score"],
    [join(root, "mixed/good.png"), expect.any(String), expect.stringMatching(/^[01]\.\d{6}$/)],
  ]);
  expect((await sharp(sheet).metadata()).format).toBe("jpeg");
});

it("fails when nothing can be read, and before any work for places that are none", async () => {
  const bad = await predict(join(root, "mixed/bad.jpg"), join(root, "gone.jpg"), "--json");
  expect([bad.code, bad.out]).toEqual([1, ""]);
  expect(bad.err).toMatch(/^error: none of 2 images can be read: /m);
  for (const [words, message] of [
    [["--json", "--csv"], "--csv and --json both print to stdout"],
    [["--out", join(root, "gone/a.csv")], "--out: there is no folder"],
    [["--sheet", join(root, "sheet.gif")], "expected a name that ends in .png"],
  ] as const) {
    const { code, out, err } = await predict(photos, ...words);
    expect([code, out, err]).toEqual([2, "", expect.stringContaining(message)]);
  }
});
