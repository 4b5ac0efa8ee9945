/** The int8 form of an exported model: ranges from images, or found anew in every run where there are none. */
import { Tensor } from "onnxruntime-node";
import type { Dataset } from "../data/dataset.ts";
import type { LoadedModel } from "../evaluation/checkpoints/load-model.ts";
import { calibrate } from "../interop/calibrate.ts";
import { toInt8 } from "../interop/quantize.ts";
import { batchesOf, takeSample } from "./sample.ts";

/** Images that ranges are taken from, at most. */
const CALIBRATION = 64;
const BATCH = 8;

export interface QuantizedModel {
  readonly bytes: Uint8Array;
  /** How many images the ranges of activations are from; undefined where they are found anew in every run. */
  readonly calibratedWith: number | undefined;
}

/**
 * @param fp32 what `deployedModel` makes, without preprocessing
 * @param images better others than those that the model is measured with; no labels are used
 */
export async function quantizedModel(
  fp32: Uint8Array,
  {
    loaded: { preprocessing },
    dataset,
  }: {
    loaded: Pick<LoadedModel, "preprocessing">;
    dataset: Dataset | undefined;
  },
): Promise<QuantizedModel> {
  if (dataset === undefined) return { bytes: toInt8(fp32), calibratedWith: undefined };
  const { inputSize: size, mean, std } = preprocessing;
  const sample = await takeSample(dataset, { preprocessing, count: CALIBRATION });
  const plane = size[0] * size[1];
  async function* feeds(): AsyncGenerator<Record<string, Tensor>> {
    let left = sample.labels.length;
    for (const images of batchesOf(sample, BATCH)) {
      const rows = Math.min(BATCH, left); // padding would be black images
      left -= rows;
      const data = Float32Array.from(images.subarray(0, rows * 3 * plane), (value, i) => {
        const channel = Math.floor(i / plane) % 3;
        return (value / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
      });
      yield { pixel_values: new Tensor("float32", data, [rows, 3, ...size]) };
    }
  }
  const ranges = await calibrate(fp32, feeds());
  return { bytes: toInt8(fp32, { ranges }), calibratedWith: sample.labels.length };
}
