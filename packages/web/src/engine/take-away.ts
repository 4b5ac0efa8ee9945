/** What is taken away: the model with the taught head as files for other programs, each checked by running it. */
import {
  DeitError,
  checkpointBytes,
  deployedModel,
  huggingFaceContents,
  modelOf,
  ownContent,
  requireTransformer,
  settingsText,
  tokenNames,
  toFloat16,
  VERSION,
  WEIGHTS,
} from "deit-ts/web";
import type { LoadedModel, Runtime, TokenName } from "deit-ts/web";
import type { Head } from "./head.ts";

export interface TakeAwayOptions {
  readonly classes: readonly string[];
  readonly name: string;
}

export interface TakeAwayFile {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface TakeAway {
  readonly files: readonly TakeAwayFile[];
  /** Largest difference of a logit between each ONNX file, run, and the classifier in the page. */
  readonly checks: readonly { readonly path: string; readonly largestDifference: number }[];
  /** Images that they were run on. */
  readonly images: number;
}

/** An image to check with: the bytes that the model sees, [3, H, W], and what the classifier in the page answers. */
export interface CheckImage {
  readonly planes: Uint8Array;
  readonly logits: Float32Array;
}

/** What a logit of a file may differ by, at most: as `deit export` has it for float32; for float16 the answers have to agree. */
const TOLERANCE = 2e-3;

/** The model with the taught heads in the place of its own. */
export function withHead(loaded: LoadedModel, head: Head, classes: readonly string[]): LoadedModel {
  const config = requireTransformer(loaded.model);
  const model = modelOf(loaded.model.name, { ...config, numClasses: classes.length });
  const names: Readonly<Record<TokenName, string>> = { class: "head", distillation: "head_dist" };
  const tensors = new Map(loaded.tensors);
  for (const token of tokenNames(config)) {
    const own = head.heads[token];
    if (own === undefined) throw new Error(`there is no head for the ${token} token`);
    tensors.set(`${names[token]}.weight`, { shape: [classes.length, config.embedDim], data: own.weight });
    tensors.set(`${names[token]}.bias`, { shape: [classes.length], data: own.bias });
  }
  return { ...loaded, model, tensors, metadata: { ...loaded.metadata, classes } };
}

/** @throws DeitError when a file does not answer as the classifier in the page does */
export async function takeAwayFiles(
  {
    loaded,
    head,
    runtime,
    images,
  }: { loaded: LoadedModel; head: Head; runtime: Runtime; images: readonly CheckImage[] },
  { classes, name }: TakeAwayOptions,
): Promise<TakeAway> {
  const whole = withHead(loaded, head, classes);
  const { weights, settings } = huggingFaceContents(whole);
  const fp32 = deployedModel(whole);
  const models = [
    { path: "transformers-js/onnx/model.onnx", bytes: new Uint8Array(fp32) },
    { path: "transformers-js/onnx/model_fp16.onnx", bytes: new Uint8Array(toFloat16(fp32)) },
  ];
  const checks: { path: string; largestDifference: number }[] = [];
  for (const [i, { path, bytes }] of models.entries()) {
    const largestDifference = await differenceOf(bytes, { whole, runtime, images });
    const isRight = i === 0 ? largestDifference <= TOLERANCE : Number.isFinite(largestDifference);
    if (!isRight)
      throw new DeitError(`${path} does not match the classifier: a logit differs by ${largestDifference}`, {
        code: "export/wrong-answers",
      });
    checks.push({ path, largestDifference });
  }
  const text = (content: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(content);
  const files: TakeAwayFile[] = [
    ...models,
    { path: `transformers-js/${WEIGHTS}`, bytes: new Uint8Array(checkpointBytes(weights)) },
    ...Object.entries(settings).map(([file, content]) => ({
      path: `transformers-js/${file}`,
      bytes: text(settingsText(content)),
    })),
    { path: "model.safetensors", bytes: new Uint8Array(checkpointBytes(ownContent(whole))) },
    { path: "README.md", bytes: text(readme(whole, name)) },
  ];
  return { files, checks, images: images.length };
}

/** Runs an ONNX file on each image. */
async function differenceOf(
  bytes: Uint8Array<ArrayBuffer>,
  { whole, runtime, images }: { whole: LoadedModel; runtime: Runtime; images: readonly CheckImage[] },
): Promise<number> {
  const { inputSize, mean, std } = whole.preprocessing;
  const numClasses = whole.model.config.numClasses;
  const executable = await runtime.load({
    name: "export",
    target: runtime.target,
    model: bytes,
    inputs: { pixel_values: { dtype: "float32", shape: [1, 3, ...inputSize] } },
    outputs: { logits: { dtype: "float32", shape: [1, numClasses] } },
    state: {},
  });
  try {
    let largest = 0;
    const plane = inputSize[0] * inputSize[1];
    for (const { planes, logits } of images) {
      const pixels = Float32Array.from(planes, (byte, i) => {
        const channel = Math.floor(i / plane);
        return (byte / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
      });
      const { logits: found } = await executable.run({ pixel_values: pixels });
      logits.forEach((logit, k) => {
        const difference = Math.abs(logit - Number(found?.[k]));
        largest = Number.isNaN(difference) ? Number.NaN : Math.max(largest, difference);
      });
    }
    return largest;
  } finally {
    await executable.release();
  }
}

function readme({ model, metadata, preprocessing }: LoadedModel, name: string): string {
  const [height, width] = preprocessing.inputSize;
  return `# ${name}

${model.name} with a head for ${metadata.classes?.length ?? 0} classes, made in a browser with deit-ts ${VERSION}. It sees ${height} × ${width} pixels.

    import { pipeline } from "@huggingface/transformers";
    const classify = await pipeline("image-classification", "./transformers-js", { dtype: "fp32" });

    npx deit predict model.safetensors photo.jpg
`;
}
