/** Tokens over images, and the files of both analyses, with small trained models. The numbers against timm: attention.test.ts. */
import { mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { attentionFiles } from "../src/attention/attention-files.ts";
import { attentionMaps } from "../src/attention/attention.ts";
import { Moments } from "../src/tokens/moments.ts";
import { writeTokens } from "../src/tokens/tokens-files.ts";
import { analyzeTokens } from "../src/tokens/tokens.ts";
import { generate } from "../../deit/tests/augmentation/generated.ts";
import { createRandom } from "../../deit/src/random.ts";
import { temporaryFolder } from "../../deit/tests/data/temporary.ts";
import { tinyRun, train, writePhotos } from "../../deit/tests/training/photos.ts";

const CPU = { device: "cpu", threads: 1, workers: 0 } as const;
let root = "";
let photos = "";
let plain = "";
let distilled = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 6 });
  plain = join(root, "plain");
  distilled = join(root, "distilled");
  const run = { dataPath: photos, epochs: 1 };
  await train(tinyRun({ ...run, outputDir: plain }));
  await train(
    tinyRun({
      ...run,
      outputDir: distilled,
      model: "deit_w64d4_distilled_patch4_32",
      distillationType: "labels",
    }),
  );
}, 60_000);

test("means and deviations of rows that are not kept", () => {
  const random = createRandom(1);
  const rows = Array.from({ length: 50 }, () => [1e6 + random.normal(), random.normal(3, 0.1)]);
  const moments = new Moments(2);
  for (const row of rows) moments.add(row);
  for (const column of [0, 1]) {
    const values = rows.map((row) => row[column] ?? 0);
    const mean = values.reduce((sum, x) => sum + x, 0) / 50;
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 49);
    expect(moments.mean[column]).toBeCloseTo(mean, 8);
    expect(moments.deviation[column]).toBeCloseTo(deviation, 6);
  }
  expect(() => moments.add([1])).toThrow(RangeError);
});

describe("tokens", () => {
  test("of a distilled model: similarity by layer, and attention that adds up", async () => {
    const options = { checkpoint: distilled, dataPath: photos, ...CPU };
    const result = await analyzeTokens(options);
    expect(result).toMatchObject({
      images: 18,
      layers: 4,
      headsPerLayer: 2,
      patches: 16,
      inputSize: [16, 16],
    });
    const { similarity, attention } = result;
    expect(similarity?.layers).toHaveLength(4);
    for (const { mean } of [...(similarity?.layers ?? []), similarity?.final ?? { mean: Number.NaN }])
      expect(Math.abs(mean)).toBeLessThanOrEqual(1 + 1e-6);
    expect(similarity?.layers[3]?.deviation).toBeGreaterThan(0);
    expect(attention.map(({ layer, head }) => `${layer}.${head}`)).toEqual(
      [1, 2, 3, 4].flatMap((layer) => [1, 2].map((head) => `${layer}.${head}`)),
    );
    for (const { class: own, distillation, overlap = Number.NaN, patchDistance } of attention) {
      for (const token of [own, distillation ?? own]) {
        expect(token.self + token.other + token.patches).toBeCloseTo(1, 5);
        expect(token.effectivePatches).toBeLessThanOrEqual(16.001);
        expect(token.effectivePatches).toBeGreaterThanOrEqual(Math.exp(token.entropy) - 1e-3);
      }
      expect(overlap).toBeGreaterThan(0);
      expect(overlap).toBeLessThanOrEqual(1 + 1e-6);
      expect(patchDistance).toBeGreaterThan(0);
      expect(patchDistance).toBeLessThan(4 * Math.hypot(3, 3));
    }
    // padding counts for nothing: 18 images are two batches of 8 and two images more
    const oneByOne = await analyzeTokens({ ...options, batchSize: 3 });
    expect(oneByOne.similarity?.final.mean).toBeCloseTo(similarity?.final.mean ?? 0, 5);
    expect(oneByOne.attention[5]?.class.entropy).toBeCloseTo(attention[5]?.class.entropy ?? 0, 5);
    expect((await analyzeTokens({ ...options, images: 5 })).images).toBe(5);
  });

  test("of a plain model: what its class token attends to, and no similarity", async () => {
    const result = await analyzeTokens({ checkpoint: plain, dataPath: photos, ...CPU });
    expect(result.similarity).toBeNull();
    expect(result.attention[0]).not.toHaveProperty("distillation");
    expect(result.attention[0]?.class.other).toBe(0);
    const folder = join(root, "tokens");
    const files = await writeTokens(folder, result, "deit analyze tokens plain");
    expect((await readdir(folder)).toSorted()).toEqual(files.toSorted());
    expect(files).not.toContain("token-similarity.svg");
    expect(JSON.parse(await readFile(join(folder, "tokens.json"), "utf8"))).toEqual(result);
    const [head, ...rows] = (await readFile(join(folder, "tokens.csv"), "utf8")).trim().split("\n");
    expect(head).toBe(
      "layer,head,class self,class patches,class entropy,class effectivePatches,class spread,patchDistance",
    );
    expect(rows).toHaveLength(8);
    const page = await readFile(join(folder, "index.html"), "utf8");
    expect(page).toContain("A plain model has only a class token");
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
  });
});

describe("attention", () => {
  /** Two images of one name and unlike sizes. */
  async function imageFiles(): Promise<string[]> {
    return Promise.all(
      (["a", "b"] as const).map(async (folder, i) => {
        await mkdir(join(root, folder), { recursive: true });
        const { width, height, data } = generate(90 - 40 * i, 60, "gradient");
        const file = join(root, folder, "one.png");
        await sharp(data, { raw: { width, height, channels: 3 } })
          .png()
          .toFile(file);
        return file;
      }),
    );
  }

  test("is written as images of the image's own size, sheets and one page", async () => {
    const folder = join(root, "attention");
    const files = attentionFiles(folder, { layers: [2, 4], heads: [1] });
    const written: string[][] = [];
    const source = await attentionMaps(
      { checkpoint: distilled, images: await imageFiles(), inputSize: [16, 24], ...CPU },
      async (maps, from) => {
        for (const { heads, toTokens, rollout, rolloutToTokens } of maps.tokens) {
          const sum = (...parts: (Float32Array | undefined)[]): number =>
            parts.reduce((total, part) => total + (part?.reduce((a, b) => a + b, 0) ?? Number.NaN), 0);
          expect(heads.flat()).toHaveLength(8);
          for (const [layer, maps] of heads.entries())
            for (const [head, map] of maps.entries())
              expect(sum(map, toTokens[layer]?.[head])).toBeCloseTo(1, 5);
          expect(sum(rollout, rolloutToTokens)).toBeCloseTo(1, 5);
        }
        written.push(await files.add(maps, from));
      },
    );
    expect(source).toMatchObject({
      grid: [4, 6],
      layers: 4,
      headsPerLayer: 2,
      tokens: ["class", "distillation"],
    });
    const page = await readFile(await files.finish(source, "deit analyze attention"), "utf8");
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
    expect(page).not.toContain("<script");
    expect((await readdir(folder)).toSorted()).toEqual(
      [...written.flat(), "attention.csv", "attention.json", "index.html"].toSorted(),
    );
    expect(written[1]?.every((name) => name.startsWith("one-2-"))).toBe(true);
    for (const name of ["rollout-distillation", "layer2-head1-class", "layer4-head1-distillation"]) {
      const { width, height } = await sharp(join(folder, `one-${name}.png`)).metadata();
      expect([width, height]).toEqual([90, 60]);
    }
    expect(written[0]).not.toContain("one-layer1-head1-class.png");
  });

  test("a plain model has no distillation token to look through", async () => {
    const options = { checkpoint: plain, images: await imageFiles(), ...CPU };
    await expect(attentionMaps({ ...options, token: "distillation" }, () => {})).rejects.toThrow(
      /has no distillation token, it is a plain model\nLeave out --token/,
    );
    await expect(attentionMaps({ ...options, images: [join(root, "none.png")] }, () => {})).rejects.toThrow(
      /none\.png cannot be read/,
    );
  });
});
