/** Some images of a run are kept as hashes, so that a dataset which was replaced under the same names is known. */
import { createHash } from "node:crypto";
import type { Dataset } from "./dataset.ts";
import type { FoundSample, ImageSample, partKeys, PartedImages, RecordedImages } from "./recorded-images.ts";
import { otherImages, scoped } from "./recorded-images.ts";

/** Images that are hashed, at most; half of them of either part. */
const SAMPLES = 16;
/** Changed ones that are named. */
const NAMED = 3;

/** Hashes of some images, spread evenly over training and validation images. */
export async function sampleImages(
  opened: Pick<PartedImages, "train" | "validation">,
  keys: ReturnType<typeof partKeys>,
  { ownValidation }: { ownValidation: boolean },
): Promise<ImageSample[]> {
  const samples: ImageSample[] = [];
  for (const part of ["train", "validation"] as const) {
    const dataset = opened[part];
    if (dataset === undefined) continue;
    const count = Math.min(SAMPLES / 2, dataset.length);
    for (let i = 0; i < count; i++) {
      const index = Math.floor((i * dataset.length) / count);
      const sha256 = await hashOf(dataset, index);
      if (sha256 !== undefined)
        samples.push({ key: scoped(keys[part][index] ?? "", part, { ownValidation }), sha256 });
    }
  }
  return samples;
}

/**
 * Looks at the sampled images again. Returns a sentence when some are others.
 * @param toTrain whether the run goes on with them, and not only its model is measured with them
 * @throws DataError when most of them are others, and are to be trained on: the dataset was replaced
 */
export async function checkSamples(
  samples: readonly FoundSample[],
  recorded: RecordedImages,
  { toTrain }: { toTrain: boolean },
): Promise<string | undefined> {
  const changed: string[] = [];
  let seen = 0;
  for (const { dataset, index, key, sha256 } of samples) {
    const found = await hashOf(dataset, index);
    if (found === undefined) continue; // the loader says what cannot be read
    seen++;
    if (found !== sha256) changed.push(key);
  }
  if (changed.length === 0) return undefined;
  const first = changed.slice(0, NAMED).join(", ");
  if (toTrain && 2 * changed.length > seen) {
    throw otherImages(
      samples[0]?.dataset.name ?? "",
      recorded,
      `${changed.length} of ${seen} images that were looked at have other content (${first})`,
    );
  }
  return `${changed.length} of ${seen} images that were looked at have other content than when ${recorded.run} began (${first})`;
}

async function hashOf(dataset: Dataset, index: number): Promise<string | undefined> {
  const bytes = await dataset.encoded?.(index).catch(() => undefined);
  return bytes && createHash("sha256").update(bytes).digest("hex");
}
