/** `deit predict` from end to end: what goes to stdout, to files and to stderr. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
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
  await writeFile(join(root, "mixed/bad.jpg"), "no image");
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

it("prints a table with a line for each image that says what --json says", async () => {
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
    [["--sheet", join(root, "sheet.gif")], "expected a name that ends in .html, .png"],
  ] as const) {
    const { code, out, err } = await predict(photos, ...words);
    expect([code, out, err]).toEqual([2, "", expect.stringContaining(message)]);
  }
});

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const CPU = ["--device", "cpu", "--threads", "1", "--workers", "0"];

/** In a process of its own, with standard input. */
async function piped(input: string | Buffer, ...words: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, "predict", model, ...words, ...CPU]);
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  child.stdin.on("error", () => {}); // it may have read enough
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number];
  return { code, out, err };
}

it("reads names from standard input, one a line or separated by NUL, and refuses an image there", async () => {
  const files = [join(photos, "ring/0.png"), join(photos, 'disc/a "b", c.png')];
  const expected = (await predict(...files, "--csv")).out;
  expect(await piped(`${files.join("\r\n")}\n\n`, "-", "--csv")).toEqual({ code: 0, out: expected, err: "" });
  expect(await piped(`${files[1]}\0`, files[0] ?? "", "-", "--csv")).toEqual({
    code: 0,
    out: expected,
    err: "",
  });
  const image = await piped(await readFile(files[0] ?? ""), "-");
  expect([image.code, image.err]).toEqual([2, expect.stringContaining("standard input holds an image")]);
  const none = await piped("\n", "-");
  expect([none.code, none.err]).toEqual([
    2,
    expect.stringContaining("standard input holds no paths of images"),
  ]);
}, 60_000);

it("reads images at addresses, and names those that cannot be had", async () => {
  const file = join(photos, "ring/0.png");
  const bytes = await readFile(file);
  const server = createServer(({ url }, response) =>
    url === "/ring.png" ? response.end(bytes) : response.writeHead(404).end(),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    const base = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
    const data = `data:image/png;base64,${bytes.toString("base64")}`;
    const sheet = join(root, "addresses.png");
    const words = [file, `${base}/ring.png`, `${base}/gone.png`, data, "--sheet", sheet, "--json"];
    const { code, out, err } = await predict(...words);
    expect(code).toBe(0);
    const results = JSON.parse(out) as Result[];
    expect(results.map(({ image }) => image.slice(0, 60))).toEqual([
      file.slice(0, 60),
      `${base}/ring.png`,
      data.slice(0, 60),
    ]);
    expect(results[1]?.predictions).toEqual(results[0]?.predictions);
    expect(results[2]?.predictions).toEqual(results[0]?.predictions);
    expect(err).toMatch(/gone\.png cannot be fetched: the server responded 404/);
    expect(err).toContain(`sheet of 2 of 3 images: ${sheet}`);
  } finally {
    server.close();
  }
});

it("--min-score leaves answers out, and its exit code says whether any is left", async () => {
  const all = JSON.parse((await predict(photos, "--json")).out) as Result[];
  const scores = all
    .flatMap(({ predictions }) => predictions.map(({ score }) => score))
    .toSorted((a, b) => a - b);
  const least = scores[Math.floor(scores.length / 2)] ?? 0;
  const some = await predict(photos, "--json", "--min-score", String(least));
  expect(some.code).toBe(0);
  const expected = all.map((one) => ({
    ...one,
    predictions: one.predictions.filter(({ score }) => score >= least),
  }));
  expect(some.out).toBe(`${JSON.stringify(expected, null, 2)}\n`);
  const table = parse((await predict(photos, "--csv", "--min-score", String(least))).out);
  expect(new Set(table.map((row) => row.length))).toEqual(new Set([7]));
  expect(table.slice(1).map((row) => row.filter((cell) => cell !== "").length)).toEqual(
    expected.map(({ predictions }) => 1 + 2 * predictions.length),
  );
  const none = await predict(join(photos, "ring/0.png"), "--min-score", "1");
  expect([none.code, none.err]).toEqual([3, ""]);
  expect(none.out).toContain("nothing reaches 100.0 %");
  expect((await predict(photos, "--min-score", "50")).code).toBe(2);
});

it("writes thousands of answers as they come, to a file that is there when it is whole", async () => {
  const out = join(root, "many", "answers.csv");
  await mkdir(join(root, "many"));
  const names = `${join(root, "mixed/good.png")}\n`.repeat(3000);
  const child = spawn(process.execPath, [MAIN, "predict", model, "-", "--out", out, ...CPU], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.stdin.end(names);
  const ended = once(child, "exit");
  let partial = 0;
  while (child.exitCode === null) {
    for (const name of await readdir(join(root, "many"))) {
      const { length } = await readFile(join(root, "many", name)).catch(() => Buffer.alloc(0));
      if (name.startsWith(".") && length > 0) partial = length;
    }
    await sleep(5);
  }
  expect(await ended).toEqual([0, null]);
  const table = (await readFile(out, "utf8")).trimEnd().split("\n");
  expect([table.length, await readdir(join(root, "many"))]).toEqual([3001, ["answers.csv"]]);
  expect(partial).toBeGreaterThan(0);
}, 60_000);

it("stops when nobody reads its answers any more", async () => {
  const names = `${join(root, "mixed/good.png")}\n`.repeat(200_000);
  const child = spawn(process.execPath, [MAIN, "predict", model, "-", "--csv", ...CPU]);
  child.stdin.on("error", () => {});
  child.stdin.end(names);
  child.stdout.once("data", () => child.stdout.destroy());
  expect(await once(child, "exit")).toEqual([0, null]);
}, 60_000);
