/** What is said of images as people have them: left out, broken, copies, empty classes, one image a class. */
import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkImages, checkLines } from "../../src/data/check-images.ts";
import { openDatasets } from "../../src/data/open.ts";
import { runCommand } from "../cli/run-command.ts";
import { namedImages } from "../../src/data/unlabelled-images.ts";
import { temporaryFolder, writeClasses, writeImage, writeText } from "./temporary.ts";

async function notesOf(dataPath: string, options: object = {}): Promise<string[]> {
  const notes: string[] = [];
  await openDatasets({ dataPath, ...options }, { onNote: (note) => void notes.push(note) });
  return notes;
}

describe("what is said and not fatal", () => {
  it("files that are not images, by kind, and classes without images", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { cat: 3, dog: 3 });
    await writeText(join(path, "cat", "notes.txt"), "");
    await writeText(join(path, "dog", "clip.mp4"), "");
    await writeText(join(path, "dog", "more.TXT"), "");
    await mkdir(join(path, "owl"));
    await mkdir(join(path, "rat"));
    expect(await notesOf(path)).toEqual([
      `${path}: left out 3 files of an unsupported type: 2 .txt, 1 .mp4 (cat/notes.txt, dog/clip.mp4, …); 2 classes without images (owl, rat)`,
    ]);
    const { train } = await openDatasets({ dataPath: path });
    expect(train.classes).toEqual(["cat", "dog"]);
    expect((await train.leftOut?.())?.map(({ names }) => names.length)).toEqual([2, 1, 2]);
  });

  it("images beside the classes, broken or circular links", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { cat: 3, dog: 3 });
    await writeImage(join(path, "loose.png"));
    await symlink("gone.png", join(path, "cat", "gone.png"));
    await symlink("self.png", join(path, "cat", "self.png"));
    await symlink("..", join(path, "dog", "up"));
    await symlink(".", join(path, "dog", "here"));
    expect(await notesOf(path)).toEqual([
      `${path}: left out 1 image beside the folders of classes (loose.png); 4 broken or circular links (cat/gone.png, cat/self.png, dog/here, …)`,
    ]);
    const { whole } = await openDatasets({ dataPath: path });
    expect(whole.length).toBe(6);
    const { files } = await namedImages([path]);
    expect(files).toHaveLength(7);
  });

  it("many kinds of files in few words", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { cat: 3, dog: 3 });
    for (const ending of ["mov", "aae", "pdf", "psd", "dng", "zip", "txt"])
      await writeText(join(path, "cat", `1.${ending}`), "");
    await writeText(join(path, "dog", "2.txt"), "");
    expect(await notesOf(path)).toEqual([
      expect.stringMatching(
        /: left out 8 files of an unsupported type: 2 \.txt, 1 \.aae, 1 \.dng, 1 \.mov, 1 \.pdf and 2 kinds more \(.*, …\)$/,
      ) as string,
    ]);
  });

  it("class names that look the same in two encodings", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { ["café".normalize("NFC")]: 2, ["café".normalize("NFD")]: 2 });
    expect(await notesOf(path, { valSplit: 0 })).toEqual([
      expect.stringMatching(
        /^these class names differ only slightly .* \(the same letters in two encodings\)$/,
      ) as string,
    ]);
  });

  it.each([
    "#snapshot",
    "@Recently-Snapshot",
    "@SynoResource",
    "@eaDir",
    "#recycle",
    "lost+found",
    "$RECYCLE.BIN",
    "__MACOSX",
    "node_modules",
    ".ipynb_checkpoints",
  ])("%s is not a class, and nothing in it an image", async (junk) => {
    const path = await temporaryFolder();
    await writeClasses(path, { cat: 2, dog: 2, [junk]: 2 });
    await writeClasses(join(path, "cat"), { [junk]: 1 });
    await writeText(join(path, "cat", "Thumbs.db"), "");
    await writeText(join(path, ".DS_Store"), "");
    expect(await notesOf(path, { valSplit: 0 })).toEqual([]);
    const { train } = await openDatasets({ dataPath: path, valSplit: 0 });
    expect([train.classes, train.length]).toEqual([["cat", "dog"], 4]);
  });

  it("one image a class: none is held out", async () => {
    const path = await temporaryFolder();
    await writeClasses(path, { cat: 1, dog: 1, owl: 1 });
    expect(await notesOf(path)).toEqual(["no class has two images: none is held out for validation"]);
    const { train, validation } = await openDatasets({ dataPath: path });
    expect([train.length, validation]).toEqual([3, undefined]);
  });

  it("classes that are missing from validation", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "train"), { cat: 2, dog: 2, owl: 2 });
    await writeClasses(join(path, "val"), { dog: 2 });
    expect(await notesOf(path)).toEqual(["2 of 3 classes have no validation images (cat, owl)"]);
  });
});

describe("a look at every image", () => {
  it("finds broken images and exact copies, in several classes and parts", async () => {
    const path = await temporaryFolder();
    await writeClasses(join(path, "train"), { cat: 3, dog: 3 });
    await writeClasses(join(path, "val"), { cat: 1 });
    await writeClasses(join(path, "val"), { dog: 2 });
    await copyFile(join(path, "train/cat/0.png"), join(path, "train/dog/copy.png"));
    await copyFile(join(path, "train/dog/1.png"), join(path, "val/dog/copy.png"));
    await writeFile(join(path, "train/cat/2.png"), "no image");
    const { train, validation } = await openDatasets({ dataPath: path });
    let last = 0;
    const check = await checkImages(
      { train, validation },
      { onProgress: (done) => void (last = Math.max(last, done)) },
    );
    expect([check.checked, last]).toEqual([11, 11]);
    expect(check.broken).toEqual([
      { image: "train: cat/2.png", problem: expect.stringMatching(/2\.png is not a whole image/) as string },
    ]);
    const copies = check.copies.map(({ images }) => images.join());
    expect(copies).toContain("train: dog/1.png,val: dog/copy.png".replace("val:", "validation:"));
    expect(checkLines(check).join("\n")).toMatch(
      /1 image cannot be read\n\d images are exact copies of others \(\d of them in training and validation both, \d of them in several classes\)/,
    );
    const { out } = await runCommand(["data", "info", path, "--json"]);
    const info = JSON.parse(out) as { broken: unknown[]; copies: unknown[]; leftOut: unknown[] };
    expect([info.broken.length, info.copies.length, info.leftOut]).toEqual([1, check.copies.length, []]);
    const said = await runCommand(["data", "info", path]);
    // below what is said of them, without their names again
    expect(said.out).toMatch(
      /1 image cannot be read\n {2}train: cat\/2\.png: is not a whole image: .*\n\d images are exact copies/,
    );
  });
});
