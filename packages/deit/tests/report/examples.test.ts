import sharp from "sharp";
import { expect, test } from "vitest";
import { surest, thumbnail } from "../../src/report/examples.ts";
import { generate } from "../augmentation/generated.ts";

const answers = {
  labels: Int32Array.of(0, 0, 0, 1, 1, 2),
  predicted: Int32Array.of(0, 0, 0, 1, 0, -1),
  confidence: Float64Array.of(0.9, 0.99, 0.9, 0.5, 0.7, NaN),
};

test("the surest answers come first, so many of a class; what is not an answer is left out", () => {
  expect(surest(answers, { count: 3 })).toEqual([1, 0, 2]);
  expect(surest(answers, { count: 3, perClass: 1 })).toEqual([1, 3]);
});

test("small images keep their pixels, large ones are shrunk", async () => {
  const small = generate(32, 20, "noise");
  const { source, ...size } = await thumbnail(small);
  expect(size).toEqual({ width: 32, height: 20 });
  const decoded = await sharp(Buffer.from(source.replace("data:image/webp;base64,", ""), "base64"))
    .raw()
    .toBuffer();
  expect(Buffer.compare(decoded, Buffer.from(small.data))).toBe(0);
  const large = await thumbnail(generate(400, 300, "gradient"));
  expect([large.width, large.height]).toEqual([192, 144]);
  expect(large.source.length).toBeLessThan(20_000);
});
