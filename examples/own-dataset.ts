// Images from anywhere, with an augmentation and a metric of one's own: node own-dataset.ts [EPOCHS]
// These are made up: stripes and checks. In your program they come from a database or an API.
import { openClassifier, train } from "deit-ts";
import type { Answers, ImageTransform, LabelledImage } from "deit-ts";

const [width, height] = [32, 32];
async function* rows(): AsyncGenerator<LabelledImage> {
  for (let i = 0; i < 120; i++) {
    const label = i % 2 === 0 ? "stripes" : "checks";
    const data = Uint8Array.from({ length: 3 * width * height }, (_, at) => {
      const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
      const isLight = Math.floor(x / 2) % 2 === (label === "checks" ? Math.floor(y / 2) % 2 : 0);
      return (isLight ? 170 : 80) + ((i * 37 + at * 11) % 50);
    });
    yield { image: { width, height, data }, label };
  }
}

/** Brighter or darker. Randomness comes from `random`, so that a run that is resumed sees the same images. */
const transform: ImageTransform = (image, { random }) => {
  const light = random.normal(0, 20);
  return { ...image, data: image.data.map((value) => Math.min(255, Math.max(0, value + light))) };
};

/** The part of the stripes (class 1) that is found. */
function recall({ logits, labels }: Answers): number {
  const stripes = [...labels.keys()].filter((i) => labels[i] === 1);
  return stripes.filter((i) => (logits[2 * i + 1] ?? 0) > (logits[2 * i] ?? 0)).length / stripes.length;
}

const epochs = Number(process.argv[2] ?? 12);
const run = await train(
  { images: rows(), transform, metrics: { recall }, epochs, outputDir: "runs/own-dataset" },
  { onEvent: (event) => event.type === "epoch" && console.log(event.epoch + 1, event.acc1, event.metrics) },
);
await using classifier = await openClassifier(run.run);
console.log(
  `${classifier.labels.join()}: ${run.best.correct} of ${run.best.images} held-out images are right`,
);
