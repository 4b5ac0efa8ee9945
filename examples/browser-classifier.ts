// A classifier in a web page: best.safetensors of a run, and onnxruntime-web.
//   const classify = await loadClassifier(ort, new Uint8Array(await (await fetch("best.safetensors")).arrayBuffer()));
//   const [best] = await classify(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height));
import * as nn from "deit-ts/models";
import { createRandom, createTransform, rgbImage } from "deit-ts/web";
import type { RawImage } from "deit-ts/web";

/** onnxruntime-web, or any other ONNX Runtime. */
type Ort = Pick<typeof import("onnxruntime-node"), "InferenceSession" | "Tensor">;

export async function loadClassifier(
  ort: Ort,
  file: Uint8Array,
): Promise<(pixels: RawImage) => Promise<nn.Prediction[]>> {
  const { tensors, metadata } = nn.parseCheckpoint(file);
  const known = nn.decodeModelMetadata(metadata, { file: "the model" });
  const { model: name = "", classes = [], inputSize, mean = [0, 0, 0], std = [1, 1, 1] } = known;
  const model = nn.createModel(name, { numClasses: classes.length, inputSize });
  const program = nn.deployedProgram(model, tensors, { batchSize: 1, target: "portable" });
  const session = await ort.InferenceSession.create(program.model);
  const [size, cropRatio] = [model.config.inputSize, Number(metadata["crop_ratio"] ?? 0.875)];
  const transform = createTransform({ mode: "evaluation", size, cropRatio });

  return async (pixels) => {
    const image = rgbImage(pixels);
    const { data } = transform.apply(image, transform.draw(createRandom(0), image.width, image.height));
    const plane = data.length / 3; // from rows of RGB to planes, normalised as in training
    const values = Float32Array.from({ length: data.length }, (_, i) => {
      const channel = Math.floor(i / plane);
      const value = (data[(i % plane) * 3 + channel] ?? 0) / 255;
      return (value - (mean[channel] ?? 0)) / (std[channel] ?? 1);
    });
    const { logits } = await session.run({
      pixel_values: new ort.Tensor("float32", values, [1, 3, ...size]),
    });
    return nn.topPredictions(logits?.data as Float32Array, { classes, topk: 3 });
  };
}
