/**
 * The README's figure of attention: what the class token of a model looks at in one image, heads by some of the layers.
 *
 *     npx node --conditions=deit-source packages/lab/studies/attention-figure.ts CHECKPOINT IMAGE
 *
 * docs/figures/attention.jpg is of the published deit_tiny_patch16_224 and chelsea.png (see docs/figures/attention.md).
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { headSheet } from "../src/attention/attention-files.ts";
import { attentionMaps } from "../src/attention/attention.ts";

const FIGURE = fileURLToPath(new URL("../../../docs/figures/attention.jpg", import.meta.url));
const LAYERS = [2, 4, 6, 8, 10, 12];

const [checkpoint, image] = process.argv.slice(2);
if (checkpoint === undefined || image === undefined) {
  process.stderr.write(
    "usage: npx node --conditions=deit-source packages/lab/studies/attention-figure.ts CHECKPOINT IMAGE\n",
  );
  process.exit(2);
}
await attentionMaps(
  { checkpoint, images: [image], token: "class", evalCropRatio: 1, device: "cpu" },
  async (maps, source) => {
    const [token] = maps.tokens;
    if (token === undefined) throw new Error(`${source.model} has no class token`);
    const selection = { layers: LAYERS };
    const png = await headSheet(maps, token, { source, selection, theme: "dark" });
    await writeFile(FIGURE, await sharp(png).jpeg({ quality: 80, mozjpeg: true }).toBuffer());
    process.stdout.write(`${FIGURE}\n`);
  },
);
