/** `deit data check` on folders of images: what it finds, what it writes, what it refuses. */
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { checkData } from "../../src/data-check/check.ts";
import { runCommand } from "../cli/run-command.ts";
import { temporaryFolder, writeImage } from "../data/temporary.ts";

const DATA = new URL("../../../../../shared/data/", import.meta.url).pathname;
const WEIGHTS = join(DATA, "deit_tiny_patch16_224/model.safetensors");
const FLOWERS = join(DATA, "flowers_40");

/** train/ and val/ of two classes, with a fault of every kind that needs no model. */
async function faultyFolder(): Promise<string> {
  const path = await temporaryFolder();
  let width = 200;
  for (const part of ["train", "val"])
    for (const name of ["cat", "dog"])
      for (let i = 0; i < 3; i++) await writeImage(join(path, part, name, `${i}.png`), width++, 180, "noise");
  const at = (name: string): string => join(path, name);
  await copyFile(at("val/cat/0.png"), at("train/cat/copy.png"));
  await copyFile(at("train/dog/1.png"), at("train/cat/dog.png"));
  await writeFile(at("train/dog/broken.jpg"), "no image");
  await writeImage(at("train/dog/tiny.png"), 20, 20, "noise");
  await sharp({ create: { width: 200, height: 200, channels: 3, background: "teal" } }).toFile(
    at("val/dog/empty.png"),
  );
  const coarse = await sharp(at("train/cat/2.png")).resize(14).png().toBuffer();
  await sharp(coarse).resize(200, 180).blur(3).toFile(at("train/cat/blurred.png"));
  return path;
}

describe("without a model", () => {
  it("finds broken files, exact copies, tiny, empty and blurred images", async () => {
    const { problems, images, classes, model, labels } = await checkData({
      dataPath: await faultyFolder(),
      checkpoint: null,
    });
    const found = problems.map(({ kind, action, image, other }) =>
      [kind, action, `${image.part}/${image.name}`, other && `${other.part}/${other.name}`].join(" ").trim(),
    );
    expect(found).toEqual([
      "broken remove train/dog/broken.jpg",
      "copy remove train/cat/copy.png val/cat/0.png", // the validation image stays
      "copy review train/dog/1.png train/cat/dog.png", // which label is right is not known
      "blurred review train/cat/blurred.png",
      "tiny review train/dog/tiny.png",
      "empty review val/dog/empty.png",
    ]);
    expect([images, model, labels]).toEqual([18, null, null]);
    expect(classes).toEqual([
      { name: "cat", images: 9 },
      { name: "dog", images: 9 },
    ]);
  });

  it("writes a table and a page, and names them", async () => {
    const path = await faultyFolder();
    const out = join(await temporaryFolder(), "check");
    const { code, out: text, err } = await runCommand(["data", "check", path, "--model-free", "--out", out]);
    expect([code, err]).toEqual([0, ""]);
    expect(text).toContain("copy       2 images, 1 of them of validation images");
    expect(text).toContain("label      not checked (--model-free)");
    expect(await readdir(out)).toEqual(["index.html", "problems.csv"]);
    const [head, first, second] = (await readFile(join(out, "problems.csv"), "utf8")).split("\n");
    expect(head).toBe("problem,action,part,class,image,suggested_class,other_part,other_image,score,detail");
    expect(first).toMatch(/^broken,remove,train,dog,dog\/broken\.jpg,,,,1\.0000,/);
    expect(second).toBe(
      'copy,remove,train,cat,cat/copy.png,,val,cat/0.png,1.0000,"the same file; one is for training, the other for validation"',
    );
    const page = await readFile(join(out, "index.html"), "utf8");
    expect(page.match(/<img/g)?.length).toBe(7); // two of each copy, one of the rest that can be read
    expect(page).toContain("9 images of every class");
    expect(page).not.toContain("mislabelled"); // which nobody looked for
  });

  it("says which flags exclude each other, before it looks", async () => {
    const flags = ["--model-free", "--checkpoint", "model.safetensors"];
    const { code, err } = await runCommand(["data", "check", "nowhere", ...flags]);
    expect([code, err]).toEqual([
      2,
      expect.stringContaining("--checkpoint cannot be combined with --model-free"),
    ]);
  });
});

describe.skipIf(!existsSync(WEIGHTS) || !existsSync(FLOWERS))("with a pretrained model", () => {
  it("finds images in the wrong folder, and crops across parts", { timeout: 300_000 }, async () => {
    const path = await temporaryFolder();
    const classes = ["daffodil", "marigold", "oxeye_daisy", "windflower"];
    for (const part of ["train", "val"])
      for (const name of classes) {
        const from = join(FLOWERS, part, name);
        await mkdir(join(path, part, name), { recursive: true });
        for (const file of (await readdir(from)).slice(0, 8))
          await copyFile(join(from, file), join(path, part, name, file));
      }
    const [moved = ""] = (await readdir(join(FLOWERS, "train", "daffodil"))).slice(9);
    await copyFile(join(FLOWERS, "train/daffodil", moved), join(path, "train/marigold", moved));
    const [cropped = ""] = await readdir(join(path, "train/windflower"));
    const image = sharp(join(path, "train/windflower", cropped));
    const { width, height } = await image.metadata();
    await image
      .extract({ left: 40, top: 30, width: Math.round(0.8 * width), height: Math.round(0.85 * height) })
      .resize(200)
      .jpeg({ quality: 40 })
      .toFile(join(path, "val/windflower/crop.jpg"));
    const check = await checkData({ dataPath: path, checkpoint: WEIGHTS });
    const [copy, ...others] = check.problems.filter(({ kind }) => kind === "near-copy");
    expect([copy?.image.name, copy?.other?.name, others]).toEqual([
      `windflower/${cropped}`,
      "windflower/crop.jpg",
      [],
    ]);
    const [label] = check.problems.filter(({ kind }) => kind === "label");
    expect([label?.image.name, label?.suggestedClass]).toEqual([`marigold/${moved}`, "daffodil"]);
    expect(check.labels?.judged).toBe(66);
  });
});
