/** A model in the page that is asked about images: features, answers of its heads, attention. One forward pass gives all of it. */
import {
  attentionReadout,
  createRandom,
  createTransform,
  evaluationTransform,
  frozenProgram,
  gridOf,
  readMaps,
  requireTransformer,
  tokenNames,
  unboundProgram,
  FEATURES,
  writePlanar,
} from "deit-ts/web";
import type { Executable, LoadedModel, RgbImage, Readout, Runtime, TokenAttention } from "deit-ts/web";

import { STATES } from "./inspect.ts";

/** Images that are looked at together, where so many wait. */
const BATCH = 8;

/** Features, logits and attention of a forward pass. */
const LOOK: Readout = {
  name: "look",
  outputs: (inside) => ({ ...FEATURES.outputs(inside), ...attentionReadout("mean").outputs(inside) }),
};

export interface Look {
  /** [width] */
  readonly features: Float32Array;
  /** Logits of the model's own heads, by head. */
  readonly logits: Readonly<Record<string, Float32Array>>;
  readonly attention: readonly TokenAttention[];
}

export interface Asker {
  /** Numbers that an image's features have. */
  readonly width: number;
  /** The pixels that the model sees, as planes [3, H, W]. */
  prepare(image: RgbImage): Uint8Array;
  /** Features of prepared images, each [width]. */
  features(images: readonly Uint8Array[]): Promise<Float32Array[]>;
  look(image: Uint8Array): Promise<Look>;
  /** Tokens of each layer, [N · D]. */
  states(image: Uint8Array): Promise<Float32Array[]>;
}

/** Programs are made when they are first needed. */
export function createAsker(loaded: LoadedModel, runtime: Runtime): Asker {
  const { model, tensors, preprocessing } = loaded;
  const config = requireTransformer(model);
  const transform = createTransform(evaluationTransform(preprocessing));
  const [height, width] = model.config.inputSize;
  const bytes = 3 * height * width;
  const programs = new Map<string, Promise<Executable>>();

  async function program(readout: Readout, batchSize: number): Promise<Executable> {
    const key = `${readout.name}.${batchSize}`;
    const options = { model, batchSize, target: runtime.target, normalisation: preprocessing };
    const made =
      programs.get(key) ??
      runtime.load(frozenProgram(unboundProgram(options, readout), tensors), { transfer: true });
    programs.set(key, made);
    made.catch(() => programs.delete(key));
    return made;
  }

  return {
    width: config.embedDim * (config.distilled ? 2 : 1),
    prepare(image) {
      const draw = transform.draw(createRandom(0), image.width, image.height);
      const planes = new Uint8Array(bytes);
      writePlanar(transform.apply(image, draw), planes);
      return planes;
    },
    async features(images) {
      const found: Float32Array[] = [];
      for (let from = 0; from < images.length;) {
        const size = images.length - from >= BATCH ? BATCH : 1;
        const batch = new Uint8Array(size * bytes);
        images.slice(from, from + size).forEach((image, row) => batch.set(image, row * bytes));
        const { features } = await (await program(FEATURES, size)).run({ images: batch });
        const each = (features?.length ?? 0) / size;
        for (let row = 0; row < size; row++)
          found.push((features as Float32Array).slice(row * each, (row + 1) * each));
        from += size;
      }
      return found;
    },
    async states(image) {
      const outputs = await (await program(STATES, 1)).run({ images: image });
      return Array.from({ length: config.depth + 1 }, (_, layer) => outputs[`state${layer}`] as Float32Array);
    },
    async look(image) {
      const outputs = await (await program(LOOK, 1)).run({ images: image });
      const attention = readMaps(outputs, {
        grid: gridOf(config),
        layers: config.depth,
        headsPerLayer: config.numHeads,
        tokens: tokenNames(config),
        registers: config.registers,
      });
      const heads = tokenNames(config).map((head) => [head, outputs[head] as Float32Array] as const);
      return { features: outputs["features"] as Float32Array, logits: Object.fromEntries(heads), attention };
    },
  };
}
