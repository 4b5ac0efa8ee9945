/** From what people name to image files. */
import { execFileSync } from "node:child_process";
import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { openDataset } from "../../src/data/dataset.ts";
import { readImageFile } from "../../src/data/decoding/decode.ts";
import { openDatasets } from "../../src/data/open.ts";
import { namedImages } from "../../src/data/unlabelled-images.ts";
import { temporaryFolder, writeImage, writeText } from "./temporary.ts";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
  for (const file of ["b.JPG", "a.png", "deep/er/c.webp", "deep/d.tiff", ".hidden.png", "[1].png"])
    await writeImage(join(root, "mine", file));
  await writeText(join(root, "mine/notes.txt"), "no image");
  await mkdir(join(root, "empty"));
});

const found = async (...names: string[]): Promise<{ files: string[]; problems: string[] }> => {
  const { files, problems } = await namedImages(names.map((name) => join(root, name)));
  const short = (text: string): string => text.replaceAll(`${root}/`, "");
  return { files: files.map(short), problems: problems.map(short) };
};

test("a folder gives its images and those of its folders, hidden ones left out", async () => {
  const files = ["mine/[1].png", "mine/a.png", "mine/b.JPG", "mine/deep/d.tiff", "mine/deep/er/c.webp"];
  expect(await found("mine")).toEqual({ files, problems: [] });
});

test("a file is taken as it is named, twice if it is named twice", async () => {
  const names = ["mine/notes.txt", "mine/a.png", "mine/a.png", "mine/[1].png"];
  expect(await found(...names)).toEqual({ files: names, problems: [] });
});

test("a glob gives what it matches and ends like an image, in folders too, each once", async () => {
  expect((await found("mine/*.{png,JPG,txt}")).files).toEqual(["mine/[1].png", "mine/a.png", "mine/b.JPG"]);
  expect((await found("mine/deep/**")).files).toEqual(["mine/deep/d.tiff", "mine/deep/er/c.webp"]);
  expect((await found("mi?e")).files).toHaveLength(5);
});

test("what leads to no image is told", async () => {
  await symlink("..", join(root, "empty/up"));
  await writeFile(join(root, "list"), "");
  expect(await found("gone.png", "mine/a.png", "mine/*.gif")).toEqual({
    files: ["mine/a.png"],
    problems: ["there is no file or folder gone.png", "no image matches mine/*.gif"],
  });
  expect(await found("list/x.png")).toMatchObject({
    problems: ["there is no file or folder list/x.png"],
  });
  const { problems } = await found("empty"); // its link leads back up
  expect(problems).toEqual(["the folder empty holds no images"]);
});

test("as a dataset the files have no labels, and open again from plain data", async () => {
  const files = [join(root, "mine/a.png"), join(root, "mine/b.JPG")];
  const dataset = await openDataset(structuredClone({ kind: "files", files } as const));
  expect([dataset.length, [...dataset.labels], dataset.describe(1)]).toEqual([2, [-1, -1], files[1]]);
  expect(await dataset.read(0)).toMatchObject({ width: 12, height: 10 });
});

test.skipIf(process.platform === "win32")(
  "a pipe called as an image is is not read from a folder, a device and a file of 600 MiB not at all",
  async () => {
    const folder = join(root, "pipes");
    for (const one of ["cat", "dog"]) await writeImage(join(folder, one, "a.png"));
    execFileSync("mkfifo", [join(folder, "cat", "b.png")]);
    await symlink("/dev/zero", join(folder, "dog", "b.png"));
    expect((await found("pipes")).files).toEqual(["pipes/cat/a.png", "pipes/dog/a.png"]);
    const { train, ...others } = await openDatasets({ dataPath: folder, valSplit: 0 });
    expect([train.length, others.validation]).toEqual([2, undefined]);
    await expect(readImageFile(join(folder, "dog", "b.png"))).rejects.toMatchObject({
      code: "data/unreadable",
    });
    const large = join(root, "large.png");
    await writeFile(large, "");
    await truncate(large, 600 * 2 ** 20);
    await expect(readImageFile(large)).rejects.toThrow(/has 600 MiB: expected an image of at most 512/);
  },
);

test("a folder with other files alone is not called empty", async () => {
  const folder = join(root, "zipped");
  await writeText(join(folder, "images.zip"), "PK");
  const failed = openDatasets({ dataPath: folder });
  await expect(failed).rejects.toThrow(/no folders of classes: only \.zip files/);
  await expect(failed).rejects.toMatchObject({ hint: expect.stringContaining("Unpack the archive first.") });
});
