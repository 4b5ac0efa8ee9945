/** `deit analyze attention` and `tokens` on the command line: what they print, and how they refuse. */
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";
import { tinyRun, train, writePhotos } from "../../../deit/tests/training/photos.ts";
import type { Outcome } from "../../../deit/tests/cli/run-command.ts";
import { runCommand } from "../../../deit/tests/cli/run-command.ts";

let root = "";
let model = "";
let imageFile = "";
beforeAll(async () => {
  root = await temporaryFolder();
  const dataPath = await writePhotos(join(root, "photos"), { perClass: 4 });
  imageFile = join(dataPath, "disc", "0.png");
  model = join(root, "plain");
  await train(tinyRun({ dataPath, outputDir: model, epochs: 1 }));
}, 60_000);

async function deit(...words: string[]): Promise<Outcome> {
  return runCommand(["analyze", ...words, "--device", "cpu", "--threads", "1"]);
}

describe("attention", () => {
  it("--json prints numbers alone and writes nothing without --out", async () => {
    const { code, out } = await deit("attention", model, imageFile, "--json", "--layer", "4");
    expect(code).toBe(0);
    const said = JSON.parse(out) as {
      images: {
        tokens: { rollout: { patches: number[] }; heads: { layer: number; patches: number[] }[] }[];
      }[];
    };
    expect(said).toMatchObject({ layers: 4, headsPerLayer: 2, grid: [4, 4], tokens: ["class"] });
    const [token] = said.images[0]?.tokens ?? [];
    expect(token?.rollout.patches).toHaveLength(16);
    expect(token?.heads.map(({ layer, patches }) => [layer, patches.length])).toEqual([
      [4, 16],
      [4, 16],
    ]);
  });

  it("writes maps and a page, and says where", async () => {
    const folder = join(root, "maps");
    const { code, out } = await deit(
      "attention",
      model,
      imageFile,
      "--out",
      folder,
      "--head",
      "2",
      "--layer",
      "1,3",
    );
    expect(code).toBe(0);
    expect(out).toContain(join(folder, "index.html"));
    expect((await readdir(folder)).toSorted()).toEqual([
      "0-heads-class.png",
      "0-layer1-head2-class.png",
      "0-layer3-head2-class.png",
      "0-rollout-class.png",
      "0-tokens.png",
      "attention.csv",
      "attention.json",
      "index.html",
    ]);
  });

  it("goes past files that are not images; what it writes is whole", async () => {
    const folder = join(root, "some");
    const broken = join(root, "broken.jpg");
    await writeFile(broken, "no image");
    const images = [broken, imageFile, join(root, "nowhere.png"), join(root, "photos", "ring", "0.png")];
    const { code, err } = await deit("attention", model, ...images, "--out", folder, "--json");
    expect(code, err).toBe(0);
    expect(err).toContain("broken.jpg");
    expect(err).toContain("nowhere.png cannot be read");
    const { images: shown, layers } = JSON.parse(await readFile(join(folder, "attention.json"), "utf8"));
    expect(layers).toBe(4);
    expect(shown.map(({ image }: { image: string }) => image)).toEqual([images[1], images[3]]);
    for (const { to, entropy, effectivePatches } of shown[0].tokens[0].heads) {
      expect(to.class + to.patches).toBeCloseTo(1, 5);
      expect(effectivePatches).toBeCloseTo(Math.exp(entropy), 4);
      expect(effectivePatches).toBeLessThanOrEqual(16.001);
    }
    const rows = (await readFile(join(folder, "attention.csv"), "utf8")).trim().split("\n");
    expect(rows).toHaveLength(1 + 2 * 4 * 2);
    const page = await readFile(join(folder, "index.html"), "utf8");
    expect(page.match(/<section>/g)).toHaveLength(3);
    expect(page.trim()).toMatch(/<\/html>$/);
    expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("leaves nothing half written when no file is an image", async () => {
    const folder = join(root, "none");
    const broken = join(root, "broken.jpg");
    await writeFile(broken, "no image");
    const { code, err } = await deit("attention", model, broken, join(root, "nowhere.png"), "--out", folder);
    expect([code, existsSync(folder)]).toEqual([1, false]);
    expect(err).toContain("error:");
  });

  it("makes no folder for a model that is not there", async () => {
    const folder = join(root, "never");
    const { code, err } = await deit("attention", join(root, "none.safetensors"), imageFile, "--out", folder);
    expect([code, existsSync(folder)]).toEqual([1, false]);
    expect(err).toContain("there is no checkpoint");
    const file = await deit("attention", model, imageFile, "--out", imageFile);
    expect(file.code).toBe(1);
    expect(file.err).toContain(`${imageFile}: something else has that name`);
    expect(file.err).toContain("files/not-written");
  });

  it.each([
    [["--layer", "5"], 2, "--layer: got 5, but deit_w64d4_patch4_32 has 4 layers"],
    [["--head", "0"], 2, '--head: got "0", expected whole numbers from 1, with commas between them'],
    [["--discard-ratio", "1"], 2, '--discard-ratio: got "1", expected a number from 0 to below 1'],
    [["--token", "distillation"], 2, "deit_w64d4_patch4_32 has no distillation token, it is a plain model"],
    [["--head-fusion", "sum"], 2, "Allowed choices are mean, max, min."],
  ])("refuses %s", async (words, exit, message) => {
    const { code, out, err } = await deit("attention", model, imageFile, "--json", ...words);
    expect([code, out]).toEqual([exit, ""]);
    expect(err).toContain(message);
    expect(err).not.toMatch(/^\s+at /m);
  });
});

describe("tokens", () => {
  it("of a plain model says what is not there", async () => {
    const { code, out } = await deit("tokens", model, "--data-path", join(root, "photos"), "--images", "2");
    expect(code).toBe(0);
    expect(out).toContain("on 2 images at 16 × 16: 4 layers of 2 heads, 16 patches");
    expect(out).toContain("A plain model: it has no distillation token");
    expect(out.split("\n").filter((line) => /^ +[1-4] /.test(line))).toHaveLength(4);
  });
});
